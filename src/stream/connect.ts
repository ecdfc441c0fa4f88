// Opening connections and taking them, as net.connect and net.createServer do, on a stack.

import {
  type Family,
  IpAddr,
  NetErr,
  parseIp,
  type Stack,
  type TcpEndpoint,
} from "../netstack/index.ts";
import { StackSocket, streamError } from "./stack-socket.ts";

const BACKLOG = 511;

function newEndpoint(stack: Stack, family: Family): TcpEndpoint {
  const endpoint = stack.endpoints.tcp(family);
  if (typeof endpoint === "number") throw streamError("socket", endpoint);
  return endpoint;
}

function addressOf(text: string | IpAddr): IpAddr {
  const addr = typeof text === "string" ? parseIp(text) : text;
  if (!(addr instanceof IpAddr))
    throw new TypeError(`"${text}" is no address; names are not resolved`);
  return addr;
}

/** At once; "connect" follows, or "error". */
export function connectSocket(
  stack: Stack,
  address: string | IpAddr,
  port: number,
  options: { allowHalfOpen?: boolean } = {},
): StackSocket {
  const addr = addressOf(address);
  const endpoint = newEndpoint(stack, addr.family);
  const error = endpoint.connect(addr, port);
  const socket = new StackSocket(stack, endpoint, options);
  if (error !== 0 && error !== NetErr.InProgress) socket.destroy(streamError("connect", error));
  stack.runPending();
  return socket;
}

export interface ListenConfig {
  port: number;
  /** Every address of IPv4 when not given; "::" for those of IPv6. */
  address?: string | IpAddr;
  backlog?: number;
  allowHalfOpen?: boolean;
}

export interface SocketListener {
  readonly address: string;
  readonly port: number;
  /** No more; connections that were taken stay. */
  close(): void;
}

/** `onConnection` for each: for node:http `(socket) => server.emit("connection", socket)`. */
export function listenSocket(
  stack: Stack,
  config: ListenConfig,
  onConnection: (socket: StackSocket) => void,
): SocketListener {
  const addr = addressOf(config.address ?? "0.0.0.0");
  const listener = newEndpoint(stack, addr.family);
  listener.options.reuseAddress = true;
  const error = listener.bind(addr, config.port) || listener.listen(config.backlog ?? BACKLOG);
  if (error !== 0) {
    listener.close();
    throw streamError("listen", error);
  }
  let isMarked = false;
  const take = (): void => {
    isMarked = false;
    for (let child = listener.accept(); child !== null; child = listener.accept()) {
      onConnection(new StackSocket(stack, child, config));
    }
  };
  listener.onReadiness = () => {
    if (isMarked) return;
    isMarked = true;
    process.nextTick(take);
  };
  return {
    address: listener.localAddr.toString(),
    port: listener.localPort,
    close: () => {
      listener.onReadiness = null;
      listener.close();
    },
  };
}
