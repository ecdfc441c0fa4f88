// The one error class of the public API. Messages are one sentence: what was wrong and what to do.

export type NetcellErrorCode =
  /** A wrong option, flag or rule. */
  | "ERR_USAGE"
  /** The host cannot do what was asked (no TAP permission, no such rootfs). */
  | "ERR_HOST"
  /** The program could not be found in the sandbox (exit status 127). */
  | "ERR_NOT_FOUND"
  /** The program could not be executed (exit status 126). */
  | "ERR_NOT_EXECUTABLE"
  /** A limit or `timeoutMs` ended it (exit status 124). */
  | "ERR_TIMEOUT"
  /** The sandbox is closed, or one of its processes died. */
  | "ERR_CLOSED";

export class NetcellError extends Error {
  override readonly name = "NetcellError";
  readonly code: NetcellErrorCode;

  constructor(code: NetcellErrorCode, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.code = code;
  }
}

/** What a shell would make of it: 124, 125, 126 or 127 (docs/interface). */
export function exitStatusOf(error: unknown): number {
  if (!(error instanceof NetcellError)) return 125;
  if (error.code === "ERR_NOT_FOUND") return 127;
  if (error.code === "ERR_NOT_EXECUTABLE") return 126;
  if (error.code === "ERR_TIMEOUT") return 124;
  return 125;
}
