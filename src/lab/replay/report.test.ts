import { describe, expect, it } from "vitest";
import { CLIENT, SERVER } from "./conversation.ts";
import type { ReplayOutcome } from "./outcome.ts";
import { replayConversation } from "./replay.ts";
import { reportPage } from "./report.ts";
import { REPORT_SCRIPT } from "./report-script.ts";
import { captureOf, replayed } from "./testing.ts";
import { extracted, text, udpFrame } from "./testing-packets.ts";

const TCP = replayed(captureOf({ bytes: [3000, 3000] }), { samples: true });
const FRAMES = [udpFrame(CLIENT, text("?")), udpFrame(SERVER, text("!"))];
const UDP = replayConversation(extracted(FRAMES).conversations[0], 2);

/** What the page's script is given to draw. */
function dataOf(page: string) {
  const begin = page.indexOf("const DATA = ") + "const DATA = ".length;
  return JSON.parse(page.slice(begin, page.indexOf(`;${REPORT_SCRIPT}`, begin)));
}

describe("a report", () => {
  it("counts the outcomes, and has a row for each", () => {
    const failed: ReplayOutcome = { ...UDP, index: 3, state: "failed", verdict: "it did not" };
    const page = reportPage("a capture", [TCP, UDP, failed]);
    expect(page).toContain("2 passed, 1 failed, 0 skipped.");
    expect(page.match(/<tr><td class="n">\d/g)).toHaveLength(3);
    expect(page).toContain('<td class="failed">it did not</td>');
  });

  it("draws every segment of a connection, captured and replayed, from its beginning on", () => {
    const [drawn, ...rest] = dataOf(reportPage("a capture", [UDP, TCP]));
    expect(rest).toEqual([]);
    expect(drawn).toMatchObject({ index: TCP.index, played: CLIENT });
    expect(drawn.captured).toHaveLength(TCP.captured.length);
    expect(drawn.replayed).toHaveLength(TCP.replayed.length);
    expect(drawn.samples).toHaveLength(TCP.samples.length);
    expect(drawn.captured[0][0]).toBe(0);
    expect(drawn.replayed[0][0]).toBe(0);
    const bytes = drawn.captured.reduce((sum: number, row: number[]) => sum + row[4], 0);
    expect(bytes).toBe(6000);
  });

  it("links a connection to its graphs, and shows first what our stack sent", () => {
    const page = reportPage("a capture", [TCP, UDP]);
    expect(page).toContain(`<a href="#c${TCP.index}">`);
    expect(page.match(/<section id=/g)).toHaveLength(1);
    expect(page).toContain('<option value="1" selected>the server\'s bytes');
  });

  it("shows text of others as text", () => {
    const evil = { ...UDP, name: "<b>&", verdict: '"<img>"' };
    const page = reportPage("</title><script>", [evil]);
    expect(page).toContain("<title>&lt;/title&gt;&lt;script&gt;</title>");
    expect(page).toContain("<td>&lt;b&gt;&amp;</td>");
    expect(page).toContain("&quot;&lt;img&gt;&quot;");
    expect(page).not.toContain("<img>");
  });
});
