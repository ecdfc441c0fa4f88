import { describe, expect, it } from "vitest";
import { DrillError } from "./drill-error.ts";
import { PythonScope } from "./python.ts";

function run(code: string, variables: Record<string, number> = {}): string[] {
  const printed: string[] = [];
  const scope = new PythonScope((line) => printed.push(line));
  for (const [name, value] of Object.entries(variables)) scope.variables.set(name, value);
  try {
    scope.run(code, { line: 7, column: 3 });
  } catch (error) {
    if (!(error instanceof DrillError)) throw error;
    printed.push(`${error.kind} ${error.place.line}: ${error.message}`);
  }
  return printed;
}

describe("code blocks", () => {
  it("keep variables, print, and count", () => {
    expect(run("cwnd = 10; cwnd += 2\nprint(cwnd * 2)  # a comment")).toEqual(["24"]);
  });
  it("fail on a false assertion, at its line, with its message", () => {
    expect(run("x = 3\nassert x == 4, 'x=%d us' % x")).toEqual([
      "mismatch 8: expected x == 4 (x=3 us)",
    ]);
  });
  it("chain comparisons and know Python's precedence", () => {
    expect(
      run("assert 1 <= a < 3; assert (a & 2) != 0; assert not a == 3 and a | 1 == 3", { a: 2 }),
    ).toEqual([]);
    expect(run("assert 1 < a < 2", { a: 2 })).toHaveLength(1);
  });
  it("join lines inside parentheses and after a backslash", () => {
    expect(run("assert (a ==\n 2), a; \\\n assert a == 2", { a: 2 })).toEqual([]);
  });
  it("refuse what they do not know", () => {
    expect(run("assert tcpi_nothing == 1")).toEqual([
      "syntax 7: code 'assert tcpi_nothing == 1' uses 'tcpi_nothing', which is not defined",
    ]);
    expect(run("import os")).toHaveLength(1);
  });
});
