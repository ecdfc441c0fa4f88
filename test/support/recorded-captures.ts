// The captures of fixtures/pcap that real programs make: each a sandbox on a TAP device, the host's kernel and its
// programs on the other side, and a sentence. Small on purpose: they are kept in the repository. Addresses are
// those of the victim of the attack tests, so that every one of them can be fed to it as well.

import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { NetworkNamespace } from "./netns.ts";
import { type TapBench, withoutOffloads } from "./tap.ts";

export const INSIDE = "10.0.0.1";
export const OUTSIDE = "10.0.0.9";
export const INSIDE6 = "2001:db8::a";
export const OUTSIDE6 = "2001:db8::9";
export const FAR = "10.88.0.2";
export const FAR6 = "fd00:88::2";
export const DEVICE = "tap0";

const MAC = ["--mac", "02:00:00:00:00:01"];
const IP4 = ["--ip", `${INSIDE}/24`, "--router", OUTSIDE, ...MAC];
const IP6 = ["--ip6", `${INSIDE6}/64`, "--router6", OUTSIDE6, ...MAC];
const PYTHON = "/usr/bin/python3";

export interface Recorded {
  file: string;
  about: string;
  /** What the decoder must say of some frame of it. */
  shows: readonly RegExp[];
  /** Frames are damaged on purpose. */
  isDamaged?: boolean;
  record(bench: TapBench, pcap: string): Promise<void>;
}

type Run = (bench: TapBench, pcap: string) => Promise<void>;

/** A program inside, with a server outside while it runs. */
function inside(
  argv: readonly string[],
  o: { server?: readonly string[]; flags?: readonly string[]; status?: number } = {},
): Run {
  return async (bench, pcap) => {
    if (o.server !== undefined) await upOutside(bench, o.server);
    const r = await bench.inside([...(o.flags ?? IP4), "--pcap", pcap], argv);
    if (r.status !== (o.status ?? 0)) throw new Error(`status ${r.status}: ${r.stdout}${r.stderr}`);
  };
}

/** A server that says "up" when it is. */
async function upOutside(bench: TapBench, argv: readonly string[]): Promise<void> {
  const child = bench.ns.spawn(...argv);
  let said = "";
  child.stderr?.on("data", (chunk: Buffer) => {
    said += chunk.toString();
  });
  const gone = once(child, "exit").then(() => {
    throw new Error(`${argv.join(" ")} ended: ${said}`);
  });
  await Promise.race([once(child.stdout ?? child, "data"), gone]);
  gone.catch(() => {});
}

/** A Python server inside (it says "up"), and then a command outside; the recording ends with the server. */
function outside(server: string, client: readonly string[], flags: readonly string[] = IP4): Run {
  return async (bench, pcap) => {
    const child = bench.serve([...flags, "--pcap", pcap], [PYTHON, "-uc", server]);
    await once(child.stdout ?? child, "data");
    bench.ns.exec(...client);
    await bench.finish();
  };
}

/** Python outside: one TCP server that runs `serve(c)` for each connection. */
const tcpServer = (serve: string, port: number, family = "AF_INET"): string[] => [
  PYTHON,
  "-uc",
  `
import socket, time, struct
l = socket.socket(socket.${family}); l.setsockopt(1, 2, 1)
l.bind(("${family === "AF_INET" ? OUTSIDE : OUTSIDE6}", ${port})); l.listen()
print("up")
while True:
    c, _ = l.accept()
    ${serve}`,
];

const http = (port: number): string[] => [
  PYTHON,
  "-uc",
  `
import http.server
class H(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        body = b"netcell " * (100 if self.path == "/" else int(self.path[1:]))
        self.send_response(200); self.send_header("Content-Length", str(len(body))); self.end_headers()
        self.wfile.write(body)
    def do_PUT(self):
        n = int(self.headers["Content-Length"]); self.rfile.read(n)
        self.send_response(204); self.end_headers()
    def log_message(self, *a): pass
s = http.server.HTTPServer(("", ${port}), H)
print("up"); s.serve_forever()`,
];

const python = (text: string): string[] => [PYTHON, "-c", text];
/** A listener inside that takes whatever comes. */
const SINK = `
import socket, time
l = socket.socket(); l.setsockopt(1, 2, 1); l.bind(("", 80)); l.listen(8); print("up")
while True:
    c, _ = l.accept()
    while c.recv(65536): pass
    c.close()`;

export const RECORDED: readonly Recorded[] = [
  {
    file: "curl.pcap",
    about:
      "curl in the sandbox fetches a page of 800 bytes: ARP, handshake, request, answer, close.",
    shows: [/ARP, Request who-has/, /GET \/ HTTP\/1\.1/, /HTTP: HTTP\/1\.1 200 OK/],
    record: inside(["curl", "-sS", `http://${OUTSIDE}:8080/`], { server: http(8080) }),
  },
  {
    file: "curl-twice.pcap",
    about: "curl fetches two pages over one connection that is kept alive.",
    shows: [/GET \/10 HTTP/, /GET \/200 HTTP/],
    record: inside(["curl", "-sS", `http://${OUTSIDE}:3128/10`, `http://${OUTSIDE}:3128/200`], {
      server: http(3128),
    }),
  },
  {
    file: "curl-put.pcap",
    about: "curl sends 12 kB with PUT: several segments of data from the sandbox.",
    shows: [/PUT \/ HTTP/, /204/],
    record: inside(
      [
        "sh",
        "-c",
        `head -c 12000 /dev/zero | curl -sS -T - -H 'Content-Length: 12000' -H 'Expect:' -H 'Transfer-Encoding:' http://${OUTSIDE}/`,
      ],
      { server: http(80) },
    ),
  },
  {
    file: "nginx.pcap",
    about: "nginx in the sandbox serves the host's curl a page of 2 kB.",
    shows: [/GET \/ HTTP/, /nginx/],
    record: async (bench, pcap) => {
      const dir = bench.directory;
      const scratch = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map((what) => `${what}_temp_path /tmp/nginx-${what};`)
        .join(" ");
      writeFileSync(join(dir, "index.html"), "netcell\n".repeat(250));
      writeFileSync(
        join(dir, "nginx.conf"),
        `daemon off; worker_processes 1; error_log stderr; pid /tmp/nginx.pid; user root;
events { worker_connections 64; }
http { access_log off; ${scratch} server { listen 80; root ${dir}; } }`,
      );
      bench.serve([...IP4, "--pcap", pcap], ["nginx", "-c", `${dir}/nginx.conf`]);
      const page = bench.ns.exec(
        "curl",
        "-sS",
        "--retry",
        "40",
        "--retry-delay",
        "1",
        "--retry-all-errors",
        `http://${INSIDE}/`,
      );
      if (page.length !== 2000) throw new Error(`nginx sent ${page.length} bytes`);
      await bench.finish();
    },
  },
  {
    file: "iperf3.pcap",
    about: "iperf3 cut short: its control connection and 4 kB of data from the sandbox.",
    shows: [/\.5201/, /length 37/],
    record: async (bench, pcap) => {
      const server = bench.ns.spawn("iperf3", "-s", "-1", "-B", OUTSIDE, "--forceflush");
      await once(server.stdout ?? server, "data");
      const argv = ["iperf3", "-c", OUTSIDE, "-n", "4K", "-l", "1K"];
      const r = await bench.inside([...IP4, "--pcap", pcap], argv);
      if (r.status !== 0) throw new Error(r.stdout + r.stderr);
    },
  },
  {
    file: "iperf3-udp.pcap",
    about: "iperf3 cut short with datagrams: control by TCP, a few kB by UDP.",
    shows: [/UDP, length 512/],
    record: async (bench, pcap) => {
      const server = bench.ns.spawn("iperf3", "-s", "-1", "-B", OUTSIDE, "--forceflush");
      await once(server.stdout ?? server, "data");
      const argv = ["iperf3", "-c", OUTSIDE, "-u", "-n", "4K", "-l", "512", "-b", "10M"];
      const r = await bench.inside([...IP4, "--pcap", pcap], argv);
      if (r.status !== 0) throw new Error(r.stdout + r.stderr);
    },
  },
  {
    file: "ssh.pcap",
    about:
      "ssh greets a server, offers its algorithms, and is turned away before keys are exchanged.",
    shows: [/length 2\d/, /Flags \[F/],
    record: inside(
      ["sh", "-c", `ssh -o BatchMode=yes -o StrictHostKeyChecking=no x@${OUTSIDE} -p 2222; true`],
      {
        server: tcpServer(
          'c.send(b"SSH-2.0-OpenSSH_9.2\\r\\n"); c.recv(65536); c.recv(65536); c.close()',
          2222,
        ),
      },
    ),
  },
  {
    file: "dns.pcap",
    about: "getent asks dnsmasq for a name that is there and for one that is not, with EDNS.",
    shows: [/A\? www\.example\./, /AAAA\? nothing\.example\./, /NXDomain/],
    record: async (bench, pcap) => {
      const server = bench.ns.spawn(
        ...["dnsmasq", "-d", "-C", "/dev/null", "-R", "-h", "-i", DEVICE, "--bind-interfaces"],
        ...[
          "--local=/example/",
          "--address=/www.example/10.0.0.9",
          "--address=/www.example/2001:db8::9",
        ],
      );
      await once(server.stderr ?? server, "data");
      const script = "getent ahosts www.example; getent hosts nothing.example; true";
      const r = await bench.inside(
        [...IP4, "--dns", OUTSIDE, "--pcap", pcap],
        ["sh", "-c", script],
      );
      if (!r.stdout.includes(OUTSIDE)) throw new Error(r.stdout + r.stderr);
    },
  },
  {
    file: "dhcp.pcap",
    about:
      "The sandbox asks dnsmasq for an address: discover, offer, request, acknowledgment, and the probes before it is used.",
    shows: [/DHCP-Message.*Discover|BOOTP\/DHCP, Request/, /BOOTP\/DHCP, Reply/],
    record: async (bench, pcap) => {
      const server = bench.ns.spawn(
        ...[
          "dnsmasq",
          "-d",
          "-C",
          "/dev/null",
          "-R",
          "-h",
          "-i",
          DEVICE,
          "--bind-interfaces",
          "-p",
          "0",
        ],
        ...[
          "--dhcp-range=10.0.0.1,10.0.0.1,255.255.255.0,1h",
          "--dhcp-authoritative",
          "--leasefile-ro",
        ],
      );
      await once(server.stderr ?? server, "data");
      const r = await bench.inside([...MAC, "--pcap", pcap], ["sleep", "1"]);
      if (r.status !== 0) throw new Error(r.stderr);
    },
  },
  {
    file: "ping.pcap",
    about: "The host pings the sandbox twice, then once with 3000 bytes in fragments both ways.",
    shows: [/ICMP echo request/, /ICMP echo reply/, /offset 1480/],
    record: outside(SINK, [
      "sh",
      "-c",
      `ping -c 2 -i 0.2 ${INSIDE} && ping -c 1 -s 3000 ${INSIDE}`,
    ]),
  },
  {
    file: "ping6.pcap",
    about: "The same over IPv6, with Neighbour Discovery in front.",
    shows: [/neighbor solicitation/, /ICMP6, echo reply/, /frag \(/],
    record: outside(
      SINK,
      ["sh", "-c", `ping -6 -c 2 -i 0.2 ${INSIDE6} && ping -6 -c 1 -s 3000 ${INSIDE6}`],
      IP6,
    ),
  },
  {
    file: "neighbor-discovery.pcap",
    about:
      "An IPv6 address comes up: multicast listener reports, duplicate address detection, router solicitation.",
    shows: [/multicast listener report/, /neighbor solicitation, who has/, /router solicitation/],
    record: inside(["sleep", "3"], { flags: ["--ip6", "auto", ...MAC] }),
  },
  {
    file: "traceroute-udp.pcap",
    about:
      "traceroute in the sandbox, with datagrams, to a machine behind the host: time exceeded, then port unreachable.",
    shows: [/time exceeded in-transit/, /udp port \d+ unreachable/],
    record: inside(["traceroute", "-n", "-q", "1", "-m", "4", "-w", "2", FAR]),
  },
  {
    file: "traceroute-icmp.pcap",
    about: "traceroute in the sandbox, with echo requests.",
    shows: [/time exceeded in-transit/, /ICMP echo reply/],
    record: inside(["traceroute", "-I", "-n", "-q", "1", "-m", "4", "-w", "2", FAR]),
  },
  {
    file: "traceroute6.pcap",
    about: "traceroute over IPv6 to a machine behind the host.",
    shows: [/time exceeded in-transit/, /unreachable port|ICMP6, destination unreachable/],
    record: inside(["traceroute", "-6", "-n", "-q", "1", "-m", "4", "-w", "2", FAR6], {
      flags: IP6,
    }),
  },
  {
    file: "path-mtu.pcap",
    about:
      "A PUT to a machine behind a line of 576 bytes: fragmentation needed, and smaller segments from then on.",
    shows: [/need to frag \(mtu 576\)/, /length 524|length 536/],
    record: async (bench, pcap) => {
      bench.exec("ip link set near0 mtu 576");
      try {
        await farSink(FAR);
        await inside(python(sendTo("AF_INET", FAR, 6000)))(bench, pcap);
      } finally {
        bench.exec("ip link set near0 mtu 1500");
        // Below 1280 bytes Linux takes a device's IPv6 addresses away.
        bench.exec("ip addr add fd00:88::1/64 dev near0 nodad");
      }
    },
  },
  {
    file: "path-mtu6.pcap",
    about: "The same over IPv6 with a line of 1280 bytes: packet too big.",
    shows: [/packet too big, mtu 1280/],
    record: async (bench, pcap) => {
      bench.exec("ip link set near0 mtu 1280");
      try {
        await farSink(FAR6);
        await inside(python(sendTo("AF_INET6", FAR6, 4000)), { flags: IP6 })(bench, pcap);
      } finally {
        bench.exec("ip link set near0 mtu 1500");
      }
    },
  },
  {
    file: "loss.pcap",
    about:
      "A PUT of 12 kB over our own line that loses every tenth frame each way: retransmissions, SACK.",
    shows: [/sack 1/],
    record: inside(python(sendTo("AF_INET", OUTSIDE, 12_000)), {
      server: tcpServer("\n    while c.recv(65536): pass\n    c.close()", 9000),
      flags: [...IP4, "--impair", "pattern=........x,delay=5ms", "--seed", "3"],
    }),
  },
  {
    file: "reordering.pcap",
    about: "The same over a line that lets a fifth of the frames overtake.",
    shows: [/sack 1/],
    record: inside(python(sendTo("AF_INET", OUTSIDE, 12_000, 9007)), {
      server: tcpServer("\n    while c.recv(65536): pass\n    c.close()", 9007),
      flags: [...IP4, "--impair", "reorder=20%,delay=8ms", "--seed", "5"],
    }),
  },
  {
    file: "udp.pcap",
    about:
      "Datagrams of 0, 1 and 1400 bytes to a server that sends them back, and one to a port that is closed.",
    shows: [/UDP, length 0/, /UDP, length 1400/, /udp port 9 unreachable/],
    record: inside(
      python(`
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(5)
for n in (0, 1, 1400):
    s.sendto(b"x" * n, ("${OUTSIDE}", 7000)); assert len(s.recv(2000)) == n
c = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); c.settimeout(5); c.connect(("${OUTSIDE}", 9)); c.send(b"?")
try: c.recv(1)
except ConnectionRefusedError: pass`),
      {
        server: [
          PYTHON,
          "-uc",
          `
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(("${OUTSIDE}", 7000)); print("up")
while True:
    d, a = s.recvfrom(2000); s.sendto(d, a)`,
        ],
      },
    ),
  },
  {
    file: "port-scan.pcap",
    about:
      "The host connects to forty ports of the sandbox, of which one is open: RSTs, and one whole handshake.",
    shows: [/Flags \[R\.\]/, /Flags \[S\.\]/],
    record: outside(
      SINK,
      python(`
import socket
for port in range(60, 100):
    s = socket.socket(); s.settimeout(5); s.connect_ex(("${INSIDE}", port)); s.close()`),
    ),
  },
  {
    file: "syn-flood-raw.pcap",
    about: "Fifty SYNs from made-up addresses of the host's own network, by a raw socket.",
    shows: [/Flags \[S\]/],
    record: outside(
      SINK,
      python(`
import socket, struct
s = socket.socket(socket.AF_INET, socket.SOCK_RAW, 255)
def csum(b):
    n = sum(struct.unpack("!%dH" % (len(b) // 2), b))
    n = (n >> 16) + (n & 0xffff); n += n >> 16
    return ~n & 0xffff
dst = socket.inet_aton("${INSIDE}")
for i in range(50):
    src = bytes([10, 0, 0, 100 + i])
    tcp = struct.pack("!HHIIBBHHH", 1024 + i, 80, i, 0, 0x50, 2, 65535, 0, 0)
    sum_ = csum(src + dst + struct.pack("!BBH", 0, 6, 20) + tcp)
    tcp = tcp[:16] + struct.pack("!H", sum_) + tcp[18:]
    ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 40, i, 0, 64, 6, 0, src, dst)
    s.sendto(ip + tcp, ("${INSIDE}", 0))`),
    ),
  },
  {
    file: "refused.pcap",
    about: "The sandbox connects to ports that nobody listens on, IPv4: RST, ECONNREFUSED.",
    shows: [/Flags \[R\.\]/],
    record: inside(
      python(`
import socket
for port in (1, 2, 3):
    s = socket.socket()
    assert s.connect_ex(("${OUTSIDE}", port)) == 111`),
    ),
  },
  {
    file: "reset-by-linger.pcap",
    about: "The sandbox closes with SO_LINGER of zero seconds: a RST in the middle of a stream.",
    shows: [/Flags \[R\.?\]/],
    record: inside(
      python(`
import socket, struct
s = socket.create_connection(("${OUTSIDE}", 9001)); s.send(b"x" * 100); s.recv(1)
s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)); s.close()`),
      {
        server: tcpServer(
          "c.recv(100); c.send(b'y'); c.recv(1) if False else time.sleep(0.2)",
          9001,
        ),
      },
    ),
  },
  {
    file: "reset-unread.pcap",
    about:
      "The host closes while data wait unread in its buffer (RFC 2525 2.17): a RST from Linux.",
    shows: [/Flags \[R\.?\]/],
    record: inside(
      python(`
import socket, time
s = socket.create_connection(("${OUTSIDE}", 9002)); s.send(b"x" * 100); time.sleep(0.5)
try: s.recv(1)
except ConnectionResetError: pass`),
      { server: tcpServer("time.sleep(0.2); c.close()", 9002) },
    ),
  },
  {
    file: "half-close.pcap",
    about: "The sandbox shuts its side down and reads on until the other closes.",
    shows: [/Flags \[F\.\]/],
    record: inside(
      python(`
import socket
s = socket.create_connection(("${OUTSIDE}", 9003)); s.send(b"question"); s.shutdown(1)
data = b""
while (d := s.recv(1000)): data += d
assert data == b"answer" * 100`),
      {
        server: tcpServer(
          '\n    while c.recv(100): pass\n    c.send(b"answer" * 100); c.close()',
          9003,
        ),
      },
    ),
  },
  {
    file: "urgent-byte.pcap",
    about: "Urgent data both ways: MSG_OOB within a stream.",
    shows: [/Flags \[P?\.?U/, /urg 1/],
    record: inside(
      python(`
import socket, time
s = socket.create_connection(("${OUTSIDE}", 9004)); s.send(b"before"); s.send(b"!", socket.MSG_OOB); s.send(b"after")
time.sleep(0.3); print(s.recv(1, socket.MSG_OOB)); s.close()`),
      {
        server: tcpServer(
          'c.recv(6); c.send(b"?", socket.MSG_OOB); time.sleep(0.4); c.close()',
          9004,
        ),
      },
    ),
  },
  {
    file: "zero-window-reader.pcap",
    about:
      "The host stops reading with the smallest of buffers: the window closes, is probed, and opens.",
    shows: [/win 0,/],
    record: inside(
      python(`
import socket
s = socket.create_connection(("${OUTSIDE}", 9005)); s.sendall(b"x" * 9000); s.shutdown(1); s.recv(1)`),
      {
        server: [
          PYTHON,
          "-uc",
          `
import socket, time
l = socket.socket(); l.setsockopt(1, 2, 1); l.setsockopt(1, 8, 2000); l.bind(("${OUTSIDE}", 9005)); l.listen(); print("up")
c, _ = l.accept(); time.sleep(0.7)
while c.recv(65536): pass
c.close(); time.sleep(60)`,
        ],
      },
    ),
  },
  {
    file: "multicast.pcap",
    about:
      "The sandbox joins a group, hears a datagram of its own to it, and leaves: IGMPv3 reports.",
    shows: [/igmp v3 report/, /239\.1\.2\.3/],
    record: inside(
      python(`
import socket, struct
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(5); s.bind(("", 5007))
m = struct.pack("4s4s", socket.inet_aton("239.1.2.3"), socket.inet_aton("${INSIDE}"))
s.setsockopt(0, socket.IP_ADD_MEMBERSHIP, m); s.setsockopt(0, socket.IP_MULTICAST_IF, socket.inet_aton("${INSIDE}"))
s.sendto(b"hello", ("239.1.2.3", 5007)); assert s.recv(10) == b"hello"
s.setsockopt(0, socket.IP_DROP_MEMBERSHIP, m)`),
    ),
  },
  {
    file: "curl6.pcap",
    about: "curl over IPv6: Neighbour Discovery and one page.",
    shows: [/GET \/ HTTP/, /IP6 /],
    record: inside(["curl", "-sSg", `http://[${OUTSIDE6}]:8080/`], {
      server: tcpServer(
        'c.recv(1000); c.send(b"HTTP/1.0 200 OK\\r\\n\\r\\n" + b"netcell " * 50); c.close()',
        8080,
        "AF_INET6",
      ),
      flags: IP6,
    }),
  },
];

function sendTo(family: string, address: string, bytes: number, port = 9000): string {
  return `
import socket
s = socket.socket(socket.${family}); s.connect(("${address}", ${port}))
s.sendall(b"netcell " * ${bytes / 8}); s.shutdown(1)
while s.recv(1000): pass`;
}

let far: NetworkNamespace | null = null;

/** A machine behind the host, for those recordings that go further. */
export function joinFar(bench: TapBench): NetworkNamespace {
  far = new NetworkNamespace();
  bench.exec(`ip link add near0 type veth peer name far0 netns ${far.name}`);
  bench.exec("ip addr add 10.88.0.1/24 dev near0");
  bench.exec("ip addr add fd00:88::1/64 dev near0 nodad");
  bench.exec("sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1");
  withoutOffloads(bench.ns, "near0");
  bench.exec("ip link set near0 up");
  for (const line of [
    "ip link set far0 up",
    `ip addr add ${FAR}/24 dev far0`,
    `ip addr add ${FAR6}/64 dev far0 nodad`,
    "ip route add default via 10.88.0.1",
    "ip -6 route add default via fd00:88::1",
  ]) {
    far.exec(...line.split(" "));
  }
  return far;
}

/** A listener on the machine behind the host. */
async function farSink(address: string): Promise<void> {
  if (far === null) throw new Error("no machine behind the host");
  const child = far.spawn(
    PYTHON,
    "-uc",
    `
import socket
l = socket.socket(socket.${address.includes(":") ? "AF_INET6" : "AF_INET"}); l.setsockopt(1, 2, 1)
l.bind(("${address}", 9000)); l.listen(); print("up")
c, _ = l.accept()
while c.recv(65536): pass
c.close()`,
  );
  await once(child.stdout ?? child, "data");
}
