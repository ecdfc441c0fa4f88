// A network namespace of the test's own, and a TAP device moved into it. Needs root and iproute2.

import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { which } from "./needs.ts";

let next = 0;

export class NetworkNamespace {
  readonly name = `netcell-${process.pid}-${next++}`;
  #children: ChildProcess[] = [];

  constructor() {
    this.#ip("netns", "add", this.name);
    this.exec("ip", "link", "set", "lo", "up");
  }

  #ip(...args: string[]): void {
    execFileSync(which("ip") ?? "ip", args, { stdio: "pipe" });
  }

  /** Runs to its end inside; throws on a status other than 0. */
  exec(...argv: string[]): string {
    return execFileSync(which("ip") ?? "ip", ["netns", "exec", this.name, ...argv], {
      stdio: "pipe",
      encoding: "utf8",
      timeout: 50_000,
    });
  }

  /** argv that runs a command inside. */
  wrap(...argv: string[]): string[] {
    return [which("ip") ?? "ip", "netns", "exec", this.name, ...argv];
  }

  /** A child inside, killed with the namespace. */
  spawn(...argv: string[]): ChildProcess {
    const [program, ...args] = this.wrap(...argv);
    const child = spawn(program, args, { stdio: ["ignore", "pipe", "pipe"] });
    this.#children.push(child);
    return child;
  }

  remove(): void {
    for (const child of this.#children) child.kill("SIGKILL");
    this.#ip("netns", "del", this.name);
  }
}
