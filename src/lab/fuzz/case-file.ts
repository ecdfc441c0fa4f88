// Cases as JSON: what a corpus folder holds, and what repeats a failure. Frames are written in hexadecimal. A file
// comes from outside: it is checked, and what does not fit is said in one sentence.

import type { Case } from "./campaign.ts";
import type { Failure } from "./target.ts";

export interface CaseFile {
  target: string;
  case: Case<unknown>;
  law?: string;
  message?: string;
}

const MARK = "netcell fuzz case";
const HEX = Array.from({ length: 256 }, (_, i) => i.toString(16).padStart(2, "0"));

export function caseToJson(target: string, found: Case<unknown>, failure?: Failure): string {
  const file = {
    what: MARK,
    target,
    seed: found.seed,
    ...(failure === undefined ? {} : { law: failure.law, message: failure.message }),
    steps: found.steps,
  };
  const text = JSON.stringify(file, (_key, value: unknown) =>
    value instanceof Uint8Array ? { hex: [...value].map((b) => HEX[b]).join("") } : value,
  );
  return `${text}\n`;
}

/** The case, or a sentence (without a full stop) on what is wrong with the text. */
export function caseFromJson(text: string): CaseFile | string {
  let file: Record<string, unknown>;
  try {
    file = JSON.parse(text, revive) as Record<string, unknown>;
  } catch {
    return "it is no JSON";
  }
  if (file === null || typeof file !== "object" || file.what !== MARK) {
    return `it does not say "what": "${MARK}"`;
  }
  const { target, seed, steps } = file;
  if (typeof target !== "string" || !Number.isSafeInteger(seed) || !Array.isArray(steps)) {
    return "target, seed or steps is missing";
  }
  if (!steps.every((step) => typeof step === "object" && step !== null && "do" in step)) {
    return "a step does not say what to do";
  }
  return {
    target,
    case: { seed: seed as number, steps },
    law: typeof file.law === "string" ? file.law : undefined,
    message: typeof file.message === "string" ? file.message : undefined,
  };
}

function revive(_key: string, value: unknown): unknown {
  if (value === null || typeof value !== "object") return value;
  const { hex } = value as { hex?: unknown };
  if (typeof hex !== "string" || !/^([0-9a-f]{2})*$/.test(hex)) return value;
  return Uint8Array.from({ length: hex.length / 2 }, (_, i) =>
    Number.parseInt(hex.slice(2 * i, 2 * i + 2), 16),
  );
}
