import * as host from "../../../host/index.ts";

const MAX = 60000;
const times = new Float64Array(MAX);
const cpus = new Float64Array(MAX);
const what: string[] = new Array(MAX).fill("");
let n = 0;
const buf = host.pinnedBytes(16);
const v = new DataView(buf.buffer, buf.byteOffset);
const at = host.addressOf(buf);
export function tr(w: string): void {
  host.sys(228, 3, at, 0, 0, 0, 0);
  cpus[n % MAX] = v.getUint32(0, true) * 1e6 + v.getUint32(8, true) / 1e3;
  times[n % MAX] = performance.now();
  what[n++ % MAX] = w;
}
export function dumpTrace(fd: number): void {
  let out = "";
  const from = Math.max(0, n - 50000);
  for (let i = from + 1; i < n; i++) {
    const t = times[i % MAX],
      l = times[(i - 1) % MAX];
    out += `TR ${(t * 1000).toFixed(0)} +${((t - l) * 1000).toFixed(1)} cpu ${(cpus[i % MAX] - cpus[(i - 1) % MAX]).toFixed(1)} ${what[i % MAX]}\n`;
  }
  const b = Buffer.from(out);
  for (let at = 0; at < b.length; ) {
    const r = host.write(fd, b, at, b.length - at);
    if (r <= 0) break;
    at += r;
  }
}

(globalThis as any).tr = tr;
