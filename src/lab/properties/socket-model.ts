// The model that runs a sequence of socket calls: what Linux answers, and what poll() shows of every socket behind
// each call.

import { PORTS, SOCKETS_MAX, type SocketStep, type StepResult, stepByte } from "./socket-steps.ts";
import { TcpModel, TcpNet } from "./tcp-model.ts";
import { UdpModel, UdpNet } from "./udp-model.ts";

type Model = TcpModel | UdpModel;

const VOID = "void";

export function hexOf(bytes: readonly number[]): string {
  return `x${bytes.map((b) => b.toString(16).padStart(2, "0")).join("")}`;
}

/** As whoever runs a sequence shows a port: p and its index, e for one of the kernel's, - for none. */
function label(port: number): string {
  if (port < 0) return "-";
  return port < PORTS ? `p${port}` : "e";
}

export class SocketModel {
  readonly #tcp = new TcpNet();
  readonly #udp = new UdpNet();
  readonly #live: Model[] = [];
  /** The first step behind which Linux does what the Sentry does not imitate (TcpNet.isOdd). */
  oddAt = Number.POSITIVE_INFINITY;

  run(steps: readonly SocketStep[]): StepResult[] {
    return steps.map((step, i) => {
      const result = this.#step(step, i);
      if (this.#tcp.isOdd && this.oddAt > i) this.oddAt = i;
      return { result, masks: this.#live.map((s) => s.mask) };
    });
  }

  #step(step: SocketStep, index: number): string {
    const live = this.#live;
    if (step.do === "socket") {
      if (live.length >= SOCKETS_MAX) return VOID;
      live.push(step.tcp ? new TcpModel(this.#tcp) : new UdpModel(this.#udp));
      return "0";
    }
    if (live.length === 0) return VOID;
    const at = step.of % live.length;
    if (step.do === "close") {
      live.splice(at, 1)[0].close();
      return "0";
    }
    if (step.do === "accept") {
      if (live.length >= SOCKETS_MAX) return VOID;
      const s = live[at];
      const child = s instanceof TcpModel ? s.accept() : "EOPNOTSUPP";
      if (typeof child === "string") return child;
      live.push(child);
      return "0";
    }
    return call(live[at], step, index);
  }
}

function call(s: Model, step: SocketStep, index: number): string {
  switch (step.do) {
    case "reuse":
      s.reuse = true;
      return "0";
    case "bind":
      return s.bind(step.port);
    case "listen":
      return s instanceof TcpModel ? s.listen(step.backlog) : "EOPNOTSUPP";
    case "connect":
      return s.connect(step.port);
    case "disconnect":
      return s.unconnect();
    case "send":
    case "sendto": {
      const bytes = new Array<number>(step.length).fill(stepByte(index));
      // A stream does not care for the address (tcp(7)).
      if (s instanceof TcpModel) return s.send(bytes);
      return s.send(bytes, step.do === "send" ? -1 : step.port);
    }
    case "recv": {
      const got = s.receive(step.length, step.peek);
      return typeof got === "string" ? got : hexOf(got);
    }
    case "shutdown":
      return s.shutdown(step.how + 1);
    case "error":
      return s.takeError() || "0";
    case "names":
      return namesOf(s);
    default:
      throw new Error(`no call ${step.do}`);
  }
}

function namesOf(s: Model): string {
  const isConnected =
    s instanceof UdpModel
      ? s.isConnected
      : s.remote >= 0 && !["CLOSE", "SYN_SENT"].includes(s.state);
  return `${label(s.local)} ${isConnected ? label(s.remote) : "ENOTCONN"}`;
}
