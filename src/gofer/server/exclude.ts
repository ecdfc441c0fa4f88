// Names that a tree hides. Rules are paths with `*` inside a component and `**` as a whole one; they are
// followed component by component, so a node of the walk carries only the rules that still may match
// below it, and a directory with rules below it may not be renamed (that would carry the secret past them).

import type { ByteString } from "../../base/bytes.ts";

/** What is left of a rule at some directory: at least one component. */
export type Rule = readonly ByteString[];

export function parseRules(patterns: readonly ByteString[]): Rule[] {
  return patterns.map((p) => p.split("/").filter((c) => c !== "")).filter((r) => r.length > 0);
}

/** Glob match of one component; `*` is any run of characters. No backtracking beyond the last star. */
export function matchComponent(pattern: ByteString, name: ByteString): boolean {
  let p = 0;
  let star = -1;
  let starName = 0;
  for (let n = 0; n < name.length; ) {
    if (p < pattern.length && pattern[p] === "*") {
      star = p++;
      starName = n;
    } else if (p < pattern.length && pattern[p] === name[n]) {
      p++;
      n++;
    } else if (star >= 0) {
      p = star + 1;
      n = ++starName;
    } else return false;
  }
  while (p < pattern.length && pattern[p] === "*") p++;
  return p === pattern.length;
}

const NO_RULES: readonly Rule[] = [];

/** The rules for what is below `name`, or null: the name itself is hidden. */
export function descend(rules: readonly Rule[], name: ByteString): readonly Rule[] | null {
  if (rules.length === 0) return NO_RULES;
  let below: Rule[] | null = null;
  for (const rule of rules) {
    if (rule[0] === "**") {
      const rest = rule.slice(1);
      if (rest.length > 0 && matchComponent(rest[0], name)) {
        if (rest.length === 1) return null;
        (below ??= []).push(rest.slice(1));
      }
      (below ??= []).push(rule);
    } else if (matchComponent(rule[0], name)) {
      if (rule.length === 1) return null;
      (below ??= []).push(rule.slice(1));
    }
  }
  return below ?? NO_RULES;
}

/** Some rule that is not of the any-depth kind lies below: renaming would evade it. */
export function pinsName(rules: readonly Rule[]): boolean {
  return rules.some((rule) => rule[0] !== "**");
}
