// The door of the links that need the host.

export { FdLink, type FdLinkConfig } from "./fd-link.ts";
export { openTapLink } from "./tap.ts";
