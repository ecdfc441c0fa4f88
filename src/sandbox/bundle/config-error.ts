// How a mistake in a bundle is told: the file, the place in it, and what is wrong there.

import { NetcellError } from "../errors.ts";

/** where: "mounts[2].options[1]"; empty: the file as a whole. what: without a full stop. */
export type Complain = (where: string, what: string) => NetcellError;

export const complainAbout =
  (file: string): Complain =>
  (where, what) =>
    new NetcellError("ERR_USAGE", `${file}: ${where === "" ? "" : `${where}: `}${what}.`);

/** ["mounts", 2, "options"] as people write it. */
export function placeText(path: readonly PropertyKey[]): string {
  let text = "";
  for (const key of path) {
    if (typeof key === "number") text += `[${key}]`;
    else text += text === "" ? String(key) : `.${String(key)}`;
  }
  return text;
}
