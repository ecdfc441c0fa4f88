// The options of a TCP endpoint that are more than a field to be read when it matters, and the figures that getsockopt
// tells (TCP_INFO, SO_MEMINFO). What they do to a connection that is there: option-calls.ts. Defaults: options.ts.

import { seqDiff } from "../../base/seqnum.ts";
import type { AoChoice, AoKeyName, AoNext, AoSettings } from "../endpoints.ts";
import { IPV4, IPV6, type IpAddr } from "../ip-addr.ts";
import type { NetError } from "../net-error.ts";
import type { TcpInfo } from "../tcp-info.ts";
import type { IpOptions } from "../wire/ipv4-options.ts";
import type { ExtensionHeaders } from "../wire/ipv6-extensions.ts";
import { addAoKey, removeAoKey, setAo } from "./ao-calls.ts";
import type { AoInfo, AoKeySpec } from "./ao-keys.ts";
import type { BbrInfo } from "./congestion/bbr.ts";
import { PortEndpoint } from "./endpoint-ports.ts";
import { emptyInfo, fillInfo, listenerInfo } from "./info.ts";
import { mssInHalfWindow } from "./mss.ts";
import {
  applyOptions,
  changeHeaderOptions,
  setMd5Key,
  setQuickAck,
  setTiming,
  setWindowClamp,
} from "./option-calls.ts";
import {
  keepCount,
  keepIdleNs,
  keepIntervalNs,
  linger2Ns,
  secondsOf,
  synCount,
  timeoutsOf,
} from "./options.ts";
import { sendMemory } from "./send-memory.ts";
import { CLOSED, LISTEN } from "./state.ts";
import type { TimingKey } from "./timing.ts";

export abstract class OptionEndpoint extends PortEndpoint {
  get ipOptions(): IpOptions | null {
    const route = this.tcb?.route ?? null;
    if (route === null || route.family !== IPV4) return this.headersToCome?.ip ?? null;
    return route.headerOptions as IpOptions | null;
  }

  // @rfc 9293 MUST-51 MUST-52
  setIpOptions(options: IpOptions | null): NetError | 0 {
    this.headersToCome = { ip: options, extensions: this.headersToCome?.extensions ?? null };
    return this.tcb === null ? 0 : changeHeaderOptions(this.tcb, options, IPV4);
  }

  get extensions(): ExtensionHeaders | null {
    const route = this.tcb?.route ?? null;
    if (route === null || route.family === IPV4) return this.headersToCome?.extensions ?? null;
    return route.headerOptions as ExtensionHeaders | null;
  }

  setExtensions(extensions: ExtensionHeaders | null): NetError | 0 {
    this.headersToCome = { ip: this.headersToCome?.ip ?? null, extensions };
    return this.tcb === null ? 0 : changeHeaderOptions(this.tcb, extensions, IPV6);
  }

  get savedSyn(): Uint8Array | null {
    return this.tcb === null ? null : this.ctx.savedSyns.of(this.tcb);
  }

  forgetSavedSyn(): void {
    if (this.tcb !== null) this.ctx.savedSyns.forget(this.tcb);
  }

  optionsChanged(): void {
    const tcb = this.tcb;
    if (tcb === null || tcb.state === CLOSED) return;
    this.ctx.enter();
    applyOptions(tcb);
  }

  setQuickAck(value: number): void {
    this.options.quickAck = value !== 0;
    if (this.tcb === null) return;
    this.ctx.enter();
    setQuickAck(this.tcb, value);
  }

  get isQuickAck(): boolean {
    return this.tcb === null ? this.options.quickAck : !this.tcb.isPingPong;
  }

  setWindowClamp(bytes: number): NetError | 0 {
    return setWindowClamp(this.tcb, this.options, this.state, bytes);
  }

  get windowClamp(): number {
    return this.options.windowClampBytes || (this.tcb?.rcv.bufferBytes ?? 0);
  }

  setMd5Key(peer: IpAddr, prefixBits: number, key: Uint8Array | null): NetError | 0 {
    return setMd5Key(this.ctx, this.tcb, this.options, peer, prefixBits, key);
  }

  addAoKey(spec: AoKeySpec, choose: AoChoice): NetError | 0 {
    return addAoKey(this.ctx, this, spec, choose);
  }

  removeAoKey(name: AoKeyName, next: AoNext): NetError | 0 {
    return removeAoKey(this.ctx, this, name, next);
  }

  get ao(): AoInfo | null {
    return this.options.authKeys?.ao ?? null;
  }

  setAo(settings: AoSettings): NetError | 0 {
    return setAo(this.ctx, this, settings);
  }

  get keepIdleNs(): number {
    return keepIdleNs(this.options, this.ctx.settings);
  }

  get keepIntervalNs(): number {
    return keepIntervalNs(this.options, this.ctx.settings);
  }

  get keepCount(): number {
    return keepCount(this.options, this.ctx.settings);
  }

  get synCount(): number {
    return synCount(this.options, this.ctx.settings);
  }

  get linger2Ns(): number {
    return linger2Ns(this.options, this.ctx.settings);
  }

  setDeferAccept(seconds: number): void {
    this.options.deferAcceptTimeouts = timeoutsOf(seconds);
  }

  get deferAcceptSec(): number {
    return secondsOf(this.options.deferAcceptTimeouts);
  }

  get timestampValue(): number {
    this.ctx.enter();
    return (this.ctx.nowMs + (this.tcb?.tsOffset ?? 0)) | 0;
  }

  setTiming(key: TimingKey, us: number): NetError | 0 {
    return setTiming(this.tcb, this.options, key, us, this.ctx.settings.tickUs);
  }

  get maxSegment(): number {
    const tcb = this.tcb;
    const { state } = this;
    const isNone = tcb === null || state === CLOSED || state === LISTEN;
    if (isNone && this.options.maxSegBytes > 0) return this.options.maxSegBytes;
    return tcb === null ? this.mssBefore : mssInHalfWindow(tcb);
  }

  get receiveBufferBytes(): number {
    const tcb = this.tcb;
    return tcb === null || tcb.state === CLOSED
      ? this.options.receiveBufferBytes
      : tcb.rcv.bufferBytes;
  }

  get receiveMemoryBytes(): number {
    const tcb = this.tcb;
    if (tcb === null) return 0;
    const { count, start, end } = tcb.outOfOrder;
    let bytes = Math.max(0, tcb.readable);
    for (let i = 0; i < count; i++) bytes += seqDiff(end[i], start[i]);
    return bytes;
  }

  get sendMemoryBytes(): number {
    const tcb = this.tcb;
    return tcb === null || tcb.state === CLOSED ? 0 : sendMemory(tcb);
  }

  congestionInfo(): BbrInfo | null {
    const tcb = this.tcb;
    return tcb?.congestion.info?.(tcb) ?? null;
  }

  info(out: TcpInfo): void {
    const { ctx, state } = this;
    ctx.enter();
    if (this.listener !== null) listenerInfo(state, this.listener, ctx, out);
    else if (this.tcb === null) emptyInfo(state, ctx, this.mssBefore, out);
    else fillInfo(this.tcb, state, out);
  }
}
