// The name server over TCP (RFC 7766): messages with a two-byte length, on the router's port 53.

import { u16 } from "../base/bytes.ts";
import { type IpAddr, Ready, type Stack, type TcpEndpoint } from "../netstack/index.ts";
import type { DnsServer } from "./dns.ts";

const DNS_PORT = 53;
const CONNECTIONS_MAX = 64;
const BACKLOG = 16;
/** Of one connection, with the resolver at once. */
const QUESTIONS_MAX = 32;
/** Without a question (RFC 7766 6.2.3: "on the order of a few seconds" or more). */
const IDLE_MS = 30_000;
const GONE = Ready.Error | Ready.Hangup;

export function serveDnsOverTcp(
  stack: Stack,
  router: IpAddr,
  dns: Pick<DnsServer, "answer">,
  kick: () => void,
): void {
  const listener = stack.endpoints.tcp(router.family);
  if (typeof listener === "number") return;
  let open = 0;
  listener.bind(router, DNS_PORT);
  listener.listen(BACKLOG);
  listener.onReadiness = () => {
    for (let child = listener.accept(); child !== null; child = listener.accept()) {
      if (open >= CONNECTIONS_MAX) {
        child.abort();
        child.close();
        continue;
      }
      open++;
      new DnsConnection(child, dns, kick, () => open--);
    }
  };
}

/** One client. What it sends waits while enough of its questions are with the host's resolver. */
class DnsConnection {
  readonly #endpoint: TcpEndpoint;
  readonly #dns: Pick<DnsServer, "answer">;
  readonly #kick: () => void;
  readonly #ended: () => void;
  readonly #received = new Uint8Array(2 + 65_535);
  readonly #idle: NodeJS.Timeout;
  #from = 0;
  #to = 0;
  /** Questions that are not answered yet. */
  #open = 0;
  #isOver = false;
  #hasAskedAll = false;

  constructor(
    endpoint: TcpEndpoint,
    dns: Pick<DnsServer, "answer">,
    kick: () => void,
    ended: () => void,
  ) {
    this.#endpoint = endpoint;
    this.#dns = dns;
    this.#kick = kick;
    this.#ended = ended;
    this.#idle = setTimeout(() => this.#finish(), IDLE_MS).unref();
    endpoint.onReadiness = () => this.#onData();
    this.#onData();
  }

  #onData(): void {
    while (!this.#isOver && this.#askQuestions()) {
      const b = this.#received;
      b.copyWithin(0, this.#from, this.#to);
      this.#to -= this.#from;
      this.#from = 0;
      const n = this.#endpoint.read(b, this.#to, b.length - this.#to, false);
      if (n <= 0) {
        if ((this.#endpoint.readiness() & GONE) !== 0) this.#finish();
        else if (n === 0) this.#askedAll();
        return;
      }
      this.#to += n;
      this.#idle.refresh();
    }
  }

  /** The client has shut down its half: it may still wait for answers (RFC 7766 6.2.4). */
  #askedAll(): void {
    this.#hasAskedAll = true;
    if (this.#open === 0) this.#finish();
  }

  /** Every whole message that is here; false: enough are open. */
  #askQuestions(): boolean {
    const b = this.#received;
    while (this.#to - this.#from >= 2) {
      const size = u16(b, this.#from);
      if (this.#to - this.#from < 2 + size) return true;
      if (this.#open >= QUESTIONS_MAX) return false;
      const query = b.slice(this.#from + 2, this.#from + 2 + size);
      this.#from += 2 + size;
      this.#open++;
      void this.#dns.answer(query, true).then((reply) => this.#onAnswer(reply));
    }
    return true;
  }

  #onAnswer(reply: Uint8Array | null): void {
    this.#open--;
    if (this.#isOver) return;
    if (reply !== null) {
      const framed = new Uint8Array(2 + reply.length);
      framed[0] = reply.length >>> 8;
      framed[1] = reply.length;
      framed.set(reply, 2);
      // A client that does not read its answers is not waited for.
      if (this.#endpoint.write(framed, 0, framed.length, 0) !== framed.length) this.#finish();
    }
    if (this.#hasAskedAll) this.#askedAll();
    else this.#onData();
    this.#kick();
  }

  #finish(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    clearTimeout(this.#idle);
    this.#endpoint.onReadiness = null;
    this.#endpoint.close();
    this.#ended();
    this.#kick();
  }
}
