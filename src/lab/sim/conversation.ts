// A TCP connection between two stacks of a world, opened and ready for an experiment.

import {
  type Family,
  type IpAddr,
  Ready,
  type Stack,
  type TcpEndpoint,
} from "../../netstack/index.ts";
import type { World } from "./world.ts";

export interface TransferConfig {
  /** Set on both sides before the handshake. */
  configure?: (endpoint: TcpEndpoint) => void;
  port?: number;
}

const DEFAULT_PORT = 5001;

export function newTcp(stack: Stack, family: Family): TcpEndpoint {
  const endpoint = stack.endpoints.tcp(family);
  if (typeof endpoint === "number") throw new Error("the stack has no endpoint left");
  return endpoint;
}

/** Connects `client` to `addr` of `server` and runs the world until both sides have the connection. */
export function openConnection(
  world: World,
  client: Stack,
  server: Stack,
  addr: IpAddr,
  config: TransferConfig = {},
): { from: TcpEndpoint; to: TcpEndpoint } {
  const port = config.port ?? DEFAULT_PORT;
  const listener = newTcp(server, addr.family);
  config.configure?.(listener);
  listener.options.reuseAddress = true;
  const bound = listener.bind(addr, port) || listener.listen(16);
  if (bound !== 0) throw new Error(`cannot listen: error ${bound}`);
  const from = newTcp(client, addr.family);
  config.configure?.(from);
  from.connect(addr, port);
  let to: TcpEndpoint | null = null;
  const isOpen = world.runUntil(() => {
    to ??= listener.accept();
    return to !== null && (from.readiness() & Ready.Write) !== 0;
  });
  listener.close();
  if (!isOpen || to === null) throw new Error("no connection came about");
  return { from, to };
}
