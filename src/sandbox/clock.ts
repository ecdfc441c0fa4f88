// Node's clock for what runs in the monitor.

import type { Clock } from "../base/clock.ts";

const NS_PER_MS = 1e6;

export class MonitorClock implements Clock {
  monotonicNs(): number {
    return performance.now() * NS_PER_MS;
  }
  realtimeNs(): number {
    return (performance.timeOrigin + performance.now()) * NS_PER_MS;
  }
}
