// The door of the links that need the host.

export { EventLoopLink, type EventLoopLinkConfig } from "./event-loop-link.ts";
export { FdLink, type FdLinkConfig } from "./fd-link.ts";
export { openTapLink } from "./tap.ts";
