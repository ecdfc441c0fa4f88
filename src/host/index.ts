// The door of src/host: every call into the host's kernel, typed. Specialised files (the gofer's openat2,
// the link's TUN ioctl) are imported by their own path.

export * from "./bpf.ts";
export * from "./clock.ts";
export * from "./epoll.ts";
export * from "./libc.ts";
export * from "./process.ts";
export * from "./shared-mapping.ts";
export * from "./unix-socket.ts";
