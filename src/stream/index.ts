// The door of src/stream: connections of a stack as Node streams.

export {
  connectSocket,
  type ListenConfig,
  listenSocket,
  type SocketListener,
} from "./connect.ts";
export { type DriveOptions, drive, type Steppable } from "./drive.ts";
export { StackSocket, streamError } from "./stack-socket.ts";
