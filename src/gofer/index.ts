// The door of the gofer room: what the Sentry and the monitor need.

export { GoferClient, type GoferTransport, type SetAttrFields } from "./client.ts";
export * from "./protocol.ts";
