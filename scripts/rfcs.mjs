// docs/rfcs.md from the list of obligations in scripts/rfcs.txt and the tags beside the code and the tests:
//
//   // @rfc 9293 MUST-1 MUST-36      in a source, above or in the function that does it; above a test that shows it
//
// `node scripts/rfcs.mjs` writes the page; src/rfcs.test.ts fails when it is stale, when an obligation has
// neither a test nor a reason, or when a tag names one that is not in the list.
//
// The list: "# number title" begins an RFC; then lines "id | section | what | note". A note that begins with
// "=" says what Linux does instead, and so does the stack; with "-", why there is neither code nor test; any other
// is printed beside both.
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = join(dirname(fileURLToPath(import.meta.url)), "..");
const TAG = /@rfc (\d+)((?: [\w.-]+)+)/;
const NAME = /^(?:export )?(?:abstract )?(?:async )?(?:function\*?|const|class|interface)\s+(\w+)/;
const METHOD =
  /^ {2}(?:(?:private|protected|static|override|get|set|readonly|async) )*(#?\w+)\s*(?:<[^>]*>)?\(/;

function files(dir, wanted) {
  return readdirSync(join(ROOT, dir), { withFileTypes: true }).flatMap((entry) => {
    const path = `${dir}/${entry.name}`;
    if (entry.isDirectory()) return files(path, wanted);
    return wanted(entry.name) ? [path] : [];
  });
}

/** Obligations by RFC, in the order of the list. */
export function readList() {
  const rfcs = [];
  for (const line of readFileSync(join(ROOT, "scripts/rfcs.txt"), "utf8").split("\n")) {
    if (line.startsWith("# ")) {
      const [, number, title] = /^# (\d+) (.*)$/.exec(line);
      rfcs.push({ number, title, musts: [] });
    } else if (line.trim() !== "" && !line.startsWith("//")) {
      const [id, section, what, note = ""] = line.split("|").map((part) => part.trim());
      rfcs.at(-1).musts.push({ id, section, what, note, code: [], tests: [] });
    }
  }
  return rfcs;
}

/** The declaration that a tag on line `at` stands above or in. */
function declarationAt(lines, at) {
  for (let i = at + 1; i < lines.length && i < at + 24; i++) {
    const name = NAME.exec(lines[i]) ?? METHOD.exec(lines[i]);
    if (name !== null) return name[1];
    if (!/^\s*(\/\/|\*|\/\*|@)/.test(lines[i])) break;
  }
  for (let i = at; i >= 0; i--) {
    const name = NAME.exec(lines[i]) ?? METHOD.exec(lines[i]);
    if (name !== null && !/^(if|for|while|switch|return)$/.test(name[1])) return name[1];
  }
  return "";
}

/** The name of the test that a tag on line `at` stands above. */
function testAt(text, lines, at) {
  let offset = 0;
  for (let i = 0; i <= at; i++) offset += lines[i].length + 1;
  const rest = text.slice(offset);
  const found = /\b(?:it|test|describe)(?:\.(?:each|skipIf|skip|only|runIf))?/.exec(rest);
  if (found === null) throw new Error(`no test behind line ${at + 1}`);
  // The title is the first string that is an argument of the last call: behind `](` or `(`.
  const title = /(?:^|[\])>])\(\s*(?:"((?:[^"\\]|\\.)*)"|`([^`]*)`)/.exec(
    rest.slice(found.index + found[0].length),
  );
  if (title === null) throw new Error(`no title behind line ${at + 1}`);
  return title[1] ?? title[2];
}

/** Adds what the tags say to the list; the problems found. */
export function readTags(rfcs) {
  const problems = [];
  const sources = [
    ...files("src", (name) => name.endsWith(".ts")),
    ...files("test", (name) => name.endsWith(".test.ts")),
    ...files("fixtures/drill", (name) => name.endsWith(".pkt")),
  ].sort();
  for (const path of sources) {
    const text = readFileSync(join(ROOT, path), "utf8");
    if (!text.includes("@rfc ")) continue;
    const lines = text.split("\n");
    for (let at = 0; at < lines.length; at++) {
      const tag = TAG.exec(lines[at]);
      if (tag === null) continue;
      for (const id of tag[2].trim().split(" ")) {
        const must = rfcs.find((r) => r.number === tag[1])?.musts.find((m) => m.id === id);
        if (must === undefined) {
          problems.push(`${path}: RFC ${tag[1]} ${id} is not in scripts/rfcs.txt`);
        } else if (path.endsWith(".pkt")) must.tests.push({ path, name: "" });
        else if (path.endsWith(".test.ts"))
          must.tests.push({ path, name: testAt(text, lines, at) });
        else must.code.push({ path, name: declarationAt(lines, at) });
      }
    }
  }
  for (const { number, musts } of rfcs) {
    for (const { id, note, code, tests } of musts) {
      const isMissing = isUnmet(note);
      const what = `RFC ${number} ${id}`;
      if (isMissing && tests.length > 0)
        problems.push(`${what} is said to be missing, and has a test`);
      if (!isMissing && tests.length === 0) problems.push(`${what} has no test and no reason`);
      if (!isMissing && code.length === 0) problems.push(`${what} is at no place in the code`);
    }
  }
  return problems;
}

const isUnmet = (note) => note.startsWith("-") || note.startsWith("=");
/** Why nothing is shown for it. */
function reason(note) {
  if (note.startsWith("=")) return `**As Linux:** ${note.slice(1).trim()}`;
  return note.startsWith("-") ? `**Missing.** ${note.slice(1).trim()}` : "";
}

const cell = (text) => text.replaceAll("|", "\\|");
const short = (path) => path.replace("src/", "").replace("fixtures/", "");

function row({ id, section, what, note, code, tests }) {
  const where = [...new Set(code.map((c) => `${short(c.path)}${c.name ? ` \`${c.name}\`` : ""}`))];
  const shown = [...new Set(tests.map((t) => `${short(t.path)}${t.name ? `: ${t.name}` : ""}`))];
  const place = section === "-" ? id : `${id.startsWith("MUST") ? `${id}, ` : ""}${section}`;
  const missing = reason(note);
  const beside = missing === "" && note !== "" ? ` *${note}*` : "";
  return `| ${place} | ${cell(what)}${cell(beside)} | ${cell(where.join("<br>"))} | ${cell(missing || shown.join("<br>"))} |`;
}

/** The page. */
export function render(rfcs) {
  const all = rfcs.flatMap((r) => r.musts);
  const asLinux = all.filter((m) => m.note.startsWith("=")).length;
  const missing = all.filter((m) => m.note.startsWith("-")).length;
  const lines = [
    "# RFCs",
    "",
    "Made by `npm run docs` from tags beside the code; do not edit. Each obligation (a MUST, or what a RFC's",
    "text cannot do without) with the place that meets it and the tests that show it. Where Linux differs from",
    "the RFC, the stack does what Linux does, and it is said here.",
    "",
    `${all.length} obligations of ${rfcs.length} RFCs: ${all.length - asLinux - missing} met and shown, ${asLinux} not met because`,
    `Linux does not either, ${missing} missing.`,
  ];
  for (const { number, title, musts } of rfcs) {
    lines.push(
      "",
      `## RFC ${number}: ${title}`,
      "",
      "| section | what | code | test |",
      "| --- | --- | --- | --- |",
    );
    lines.push(...musts.map(row));
  }
  return `${lines.join("\n")}\n`;
}

/** What is wrong, and the page as it should be. */
export function check() {
  const rfcs = readList();
  const problems = readTags(rfcs);
  return { problems, page: render(rfcs), path: join(ROOT, "docs/rfcs.md") };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { problems, page, path } = check();
  for (const problem of problems) console.error(problem);
  writeFileSync(path, page);
  process.exitCode = problems.length > 0 ? 1 : 0;
}
