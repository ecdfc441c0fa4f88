// `--report FILE.html`: one page that holds everything it shows: a table of the conversations, and for each TCP
// connection the time-sequence graph of the captured and the replayed one above each other, with bytes in flight,
// congestion window and round trip below, as tcptrace and Wireshark have made them familiar.

import { CLIENT } from "./conversation.ts";
import { align, diffText } from "./diff.ts";
import type { ReplayOutcome } from "./outcome.ts";
import { REPORT_SCRIPT } from "./report-script.ts";
import type { WireSegment } from "./wire-segment.ts";

/** Segments drawn of one connection, each column; a browser shall stay quick. */
const DRAWN_MAX = 20_000;
const DIFF_ROWS_MAX = 400;

const STYLE = `
:root { color-scheme: light dark; --back: #fff; --text: #1c2024; --dim: #667; --line: #e4e6ea; --card: #f7f8fa;
  --segment: #2563eb; --again: #dc2626; --ack: #15803d; --window: #c2a200; --sack: #a855f7; --cwnd: #ea580c;
  --ok: #15803d; --bad: #dc2626; }
@media (prefers-color-scheme: dark) { :root { --back: #14171a; --text: #e6e8eb; --dim: #98a0aa; --line: #2b3036;
  --card: #1b1f23; --segment: #60a5fa; --again: #f87171; --ack: #4ade80; --window: #eab308; --sack: #c084fc;
  --cwnd: #fb923c; --ok: #4ade80; --bad: #f87171; } }
body { margin: 0 auto; max-width: 1180px; padding: 16px; background: var(--back); color: var(--text);
  font: 14px/1.45 system-ui, sans-serif; }
h1 { font-size: 20px; } h2 { font-size: 15px; margin: 0 0 4px; overflow-wrap: anywhere; }
table { border-collapse: collapse; width: 100%; } .scroll { overflow-x: auto; }
th, td { text-align: left; padding: 4px 8px; border-bottom: 1px solid var(--line); vertical-align: top; }
td.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
a { color: var(--segment); } .passed { color: var(--ok); } .failed { color: var(--bad); } .skipped { color: var(--dim); }
section { background: var(--card); border: 1px solid var(--line); border-radius: 8px; padding: 12px; margin: 16px 0; }
canvas { display: block; width: 100%; touch-action: none; cursor: grab; margin-top: 6px; }
canvas[hidden] { display: none; }
pre { overflow-x: auto; font-size: 12px; } .key span { margin-right: 14px; white-space: nowrap; }
.key i { display: inline-block; width: 14px; height: 3px; margin-right: 4px; vertical-align: middle; }
`;

const KEY: readonly (readonly [string, string])[] = [
  ["--segment", "segment"],
  ["--again", "sent again; a cross where it was sent first"],
  ["--ack", "acknowledged"],
  ["--window", "window offered"],
  ["--sack", "SACK"],
  ["--cwnd", "congestion window"],
];

export function reportPage(title: string, outcomes: readonly ReplayOutcome[]): string {
  const sum = { passed: 0, failed: 0, skipped: 0 };
  for (const { state } of outcomes) sum[state]++;
  const data = JSON.stringify(outcomes.filter(isDrawn).map(dataOf)).replaceAll("<", "\\u003c");
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>${html(title)}</title><style>${STYLE}</style></head><body>
<h1>${html(title)}</h1>
<p>${sum.passed} passed, ${sum.failed} failed, ${sum.skipped} skipped. Wheel: zoom; drag: move; double click: all.</p>
<div class="scroll"><table><thead><tr><th>#</th><th>conversation</th><th>played</th><th>verdict</th>
<th>sent</th><th>received</th><th>again (captured)</th><th>differ</th></tr></thead><tbody>
${outcomes.map(tableRow).join("\n")}
</tbody></table></div>
${outcomes.filter(isDrawn).map(section).join("\n")}
<script>const DATA = ${data};${REPORT_SCRIPT}</script>
</body></html>
`;
}

const isDrawn = (o: ReplayOutcome): boolean =>
  o.conversation.kind === "tcp" && o.captured.length > 0;

function tableRow(o: ReplayOutcome): string {
  const name = html(o.name);
  const linked = isDrawn(o) ? `<a href="#c${o.index}">${name}</a>` : name;
  const { counts } = o;
  const cells = [
    `<td class="n">${o.index}</td><td>${linked}</td>`,
    `<td>${o.side === CLIENT ? "client" : "server"}</td>`,
    `<td class="${o.state}">${html(o.verdict)}</td>`,
    `<td class="n">${o.sent.bytes}</td><td class="n">${o.received.bytes}</td>`,
    `<td class="n">${counts.retransmissions} (${counts.capturedRetransmissions})</td>`,
    `<td class="n">${counts.differences}</td>`,
  ];
  return `<tr>${cells.join("")}</tr>`;
}

function section(o: ReplayOutcome): string {
  const other = 1 - o.side;
  const names = ["the client's bytes", "the server's bytes"];
  const option = (side: number): string =>
    `<option value="${side}"${side === other ? " selected" : ""}>${names[side]}</option>`;
  const rows = align(o.captured, o.replayed, o.side);
  const text = diffText(rows, o.side, { context: null, rowsMax: DIFF_ROWS_MAX });
  const key = KEY.map(([color, what]) => {
    return `<span><i style="background:var(${color})"></i>${what}</span>`;
  });
  return `<section id="c${o.index}"><h2>${o.index} ${html(o.name)}</h2>
<div class="${o.state}">${html(o.verdict)}</div>
<div class="graphs" hidden><p class="key"><select aria-label="direction">${option(other)}${option(o.side)}</select> ${key.join("")}</p>
${"<canvas></canvas>".repeat(5)}</div>
<details><summary>packets side by side</summary><pre>${html(text)}</pre></details></section>`;
}

function dataOf(o: ReplayOutcome): object {
  const startNs = o.replayed[0]?.timeNs ?? 0;
  return {
    index: o.index,
    played: o.side,
    captured: o.captured.slice(0, DRAWN_MAX).map((s) => rowOf(s, o.captured[0].timeNs)),
    replayed: o.replayed.slice(0, DRAWN_MAX).map((s) => rowOf(s, startNs)),
    samples: o.samples
      .slice(0, DRAWN_MAX)
      .map((s) => [
        secondsOf(s.timeNs - startNs),
        s.cwndBytes,
        s.ssthreshBytes,
        s.rttUs,
        s.inFlightBytes,
      ]),
  };
}

const secondsOf = (ns: number): number => Math.round(ns / 1000) / 1e6;

function rowOf(s: WireSegment, startNs: number): unknown[] {
  const { from, flags, at, length, ack, window, sacks, wscale } = s;
  return [
    secondsOf(s.timeNs - startNs),
    from,
    flags,
    at,
    length,
    ack,
    window,
    s.isRepeat ? 1 : 0,
    sacks.length > 0 ? sacks : 0,
    wscale,
  ];
}

const ENTITIES: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
};
const html = (text: string): string => text.replace(/[&<>"]/g, (c) => ENTITIES[c]);
