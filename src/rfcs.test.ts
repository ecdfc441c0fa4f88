// docs/rfcs.md says what the tags beside the code say, and each obligation has a test or a reason.

import { readFileSync } from "node:fs";
import { expect, it } from "vitest";

interface Check {
  problems: string[];
  page: string;
  path: string;
}
const script = new URL("../scripts/rfcs.mjs", import.meta.url).href;

it("each obligation of the RFCs is met and shown, or said to be missing; the page says so", async () => {
  const { check } = (await import(script)) as { check(): Check };
  const { problems, page, path } = check();
  expect(problems).toEqual([]);
  // When this fails: npm run docs.
  expect(readFileSync(path, "utf8") === page).toBe(true);
});
