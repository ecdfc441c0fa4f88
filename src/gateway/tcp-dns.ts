// The name server over TCP (RFC 7766): messages with a two-byte length, on the router's port 53.

import { u16 } from "../base/bytes.ts";
import { type IpAddr, Ready, type Stack, type TcpEndpoint } from "../netstack/index.ts";
import type { DnsServer } from "./dns.ts";

const DNS_PORT = 53;
const CONNECTIONS_MAX = 64;
const BACKLOG = 16;

export function serveDnsOverTcp(
  stack: Stack,
  router: IpAddr,
  dns: DnsServer,
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
      serveConnection(child, dns, kick, () => open--);
    }
  };
}

function serveConnection(
  endpoint: TcpEndpoint,
  dns: DnsServer,
  kick: () => void,
  ended: () => void,
): void {
  const received = new Uint8Array(2 + 65_535);
  let length = 0;
  let isOver = false;
  const finish = (): void => {
    if (isOver) return;
    isOver = true;
    endpoint.onReadiness = null;
    endpoint.close();
    ended();
    kick();
  };
  const onData = (): void => {
    for (;;) {
      const n = endpoint.read(received, length, received.length - length, false);
      if (n <= 0) {
        if (n === 0 || (endpoint.readiness() & (Ready.Error | Ready.Hangup)) !== 0) finish();
        return;
      }
      length += n;
      while (length >= 2 && length >= 2 + u16(received, 0)) {
        const size = u16(received, 0);
        const query = received.slice(2, 2 + size);
        received.copyWithin(0, 2 + size, length);
        length -= 2 + size;
        void dns.answer(query, true).then((reply) => {
          if (reply === null || isOver) return;
          const framed = new Uint8Array(2 + reply.length);
          framed[0] = reply.length >>> 8;
          framed[1] = reply.length;
          framed.set(reply, 2);
          // A client that does not read its answers is not waited for.
          if (endpoint.write(framed, 0, framed.length, 0) !== framed.length) finish();
          kick();
        });
      }
    }
  };
  endpoint.onReadiness = onData;
  onData();
}
