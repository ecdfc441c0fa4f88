// `netcell switch SOCKET`: the Ethernet between sandboxes that are started with --net switch=SOCKET. Runs until it is told
// to end.

import { NetcellError } from "../sandbox/errors.ts";
import { SwitchServer } from "../sandbox/switch-server.ts";
import { tell } from "./output.ts";
import { parseCount } from "./quantities.ts";

export interface SwitchFlags {
  mtu?: string;
}

const ENDING = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

export async function runSwitch(path: string, flags: SwitchFlags): Promise<number> {
  if (path === "") throw new NetcellError("ERR_USAGE", "the socket of a switch needs a name.");
  const mtu = flags.mtu === undefined ? {} : { mtu: parseCount("--mtu", flags.mtu) };
  const server = await SwitchServer.listen({ path, ...mtu });
  const ended = new Promise<void>((resolve) => {
    for (const signal of ENDING) process.once(signal, () => resolve());
  });
  tell(`the switch is up; join it with --net switch=${path}`);
  await ended;
  await server.close();
  return 0;
}
