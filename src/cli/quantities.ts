// Sizes and durations as people type them: 512m, 2g, 64KiB; 30s, 500ms, 2m. Throws ERR_USAGE.

import { parseRate } from "../link/index.ts";
import { NetcellError } from "../sandbox/errors.ts";

const SIZE_UNITS: Record<string, number> = {
  "": 1,
  k: 2 ** 10,
  m: 2 ** 20,
  g: 2 ** 30,
  t: 2 ** 40,
};
const DURATION_UNITS: Record<string, number> = {
  ms: 1,
  "": 1000,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
};

export function parseSize(flag: string, text: string): number {
  const match = /^(\d+(?:\.\d+)?)([kmgt]?)(?:i?b)?$/i.exec(text);
  if (match === null) {
    throw new NetcellError(
      "ERR_USAGE",
      `${flag} "${text}" is no size; write for example 512m or 2g.`,
    );
  }
  return Math.floor(Number(match[1]) * SIZE_UNITS[match[2].toLowerCase()]);
}

/** Milliseconds. */
export function parseDuration(flag: string, text: string): number {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|h|)$/.exec(text);
  if (match === null) {
    throw new NetcellError(
      "ERR_USAGE",
      `${flag} "${text}" is no duration; write for example 30s or 500ms.`,
    );
  }
  return Number(match[1]) * DURATION_UNITS[match[2]];
}

export function parseCount(flag: string, text: string): number {
  if (!/^[1-9]\d{0,15}$/.test(text)) {
    throw new NetcellError("ERR_USAGE", `${flag} "${text}" is no positive number.`);
  }
  return Number(text);
}

export function parseInteger(flag: string, text: string): number {
  if (!/^-?\d{1,15}$/.test(text)) {
    throw new NetcellError("ERR_USAGE", `${flag} "${text}" is no whole number.`);
  }
  return Number(text);
}

/** Thousandths of a CPU. */
export function parseCpus(flag: string, text: string): number {
  const millicores = /^\d{1,4}(\.\d+)?$/.test(text) ? Math.round(Number(text) * 1000) : 0;
  if (millicores > 0) return millicores;
  throw new NetcellError(
    "ERR_USAGE",
    `${flag} "${text}" is no number of CPUs; write for example 1.5.`,
  );
}

/** Bits a second. */
export function parseBitRate(flag: string, text: string): number {
  const rate = parseRate(text);
  if (rate !== null) return rate;
  throw new NetcellError(
    "ERR_USAGE",
    `${flag} "${text}" is no rate; write for example 10mbit or 500kbit.`,
  );
}
