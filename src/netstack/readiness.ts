// What an endpoint tells its owner: a bit mask, level-triggered, asked with readiness() and announced
// through onReadiness (an edge: "ask again"). Not poll(2)'s numbers: the stack never sees Linux.

export const Ready = {
  Read: 1,
  Write: 2,
  /** An error waits to be taken (takeError). */
  Error: 4,
  /** The peer has closed its sending side and all its data has been read or waits before the end. */
  ReadClosed: 8,
  /** Both directions are over. */
  Hangup: 16,
  /** Urgent data. */
  Urgent: 32,
  /** An entry in the error queue. */
  ErrorQueue: 64,
} as const;

export type OnReadiness = (mask: number) => void;
