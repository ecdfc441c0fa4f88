// The AccECN option (RFC 9768 3.2.3): three 24-bit counters of bytes that arrived with each ECN mark, in one of
// two orders (kind 172 and 174), as many as there is room for. When it is sent, and what the peer's tells.

import { seqDiff } from "../../base/seqnum.ts";
import { ACCECN_0 } from "../wire/tcp-options.ts";
import {
  type AccEcnState,
  COUNTER_CE,
  COUNTER_ECT0,
  COUNTER_ECT1,
  OPTION_BROKEN,
  OPTION_COUNTERS,
  OPTION_EMPTY,
  OPTION_NOT_SEEN,
} from "./accecn-state.ts";
import type { Segment } from "./segment.ts";
import type { Tcb } from "./tcb.ts";

const OPTION_SPACE = 40;
const FIELDS_MAX = 3;
/** Before this many bytes a counter cannot have wrapped; an option that comes later is of no use. */
const FIRST_SEEN_BYTES = 2 ** 23 - 1;
const COUNTER_BITS = 24;

const ORDER_0 = [COUNTER_ECT0, COUNTER_CE, COUNTER_ECT1];
const ORDER_1 = [COUNTER_ECT1, COUNTER_CE, COUNTER_ECT0];
/** 3.2.1: the ECT counters begin with 1, so that zeroes are known for a middlebox's work. */
const FIRST_VALUE = [1, 1, 0];

/** Bytes of an option with `fields` counters, padded. */
export const optionBytes = (fields: number): number => (2 + 3 * fields + 3) & ~3;

/** Judges the first option of the peer (3.2.3.2.4: zeroed on the way?). */
export function noteOption(state: AccEcnState, seg: Segment): void {
  const o = seg.options;
  if (o.accEcnKind === 0 || state.optionSeen !== OPTION_NOT_SEEN) return;
  if (o.accEcnFields === 0) state.optionSeen = OPTION_EMPTY;
  else if (o.accEcn[0] === 0 || (o.accEcnFields === FIELDS_MAX && o.accEcn[2] === 0)) {
    state.optionSeen = OPTION_BROKEN;
  } else state.optionSeen = OPTION_COUNTERS;
}

/**
 * Takes the peer's counters. True: the CE counter is right up to this ACK, from the option or by inference
 * (which counter grew alone the last time).
 */
export function judgeOption(tcb: Tcb, seg: Segment, deliveredBytes: number): boolean {
  const state = tcb.accEcn as AccEcnState;
  const o = seg.options;
  if (state.optionSeen === OPTION_BROKEN) return false;
  if (o.accEcnKind === 0) {
    if (state.optionSeen === OPTION_NOT_SEEN) {
      if (tcb.bytesSent >= FIRST_SEEN_BYTES) state.optionSeen = OPTION_BROKEN;
      return false;
    }
    if (state.estimate === 0) return false;
    state.deliveredBytes[state.estimate - 1] += deliveredBytes;
    return true;
  }
  if (state.optionSeen < OPTION_COUNTERS) {
    state.optionSeen = OPTION_NOT_SEEN;
    noteOption(state, seg);
    if (state.optionSeen !== OPTION_COUNTERS) return false;
  }
  return takeCounters(state, seg);
}

function takeCounters(state: AccEcnState, seg: Segment): boolean {
  const o = seg.options;
  const order = o.accEcnKind === ACCECN_0 ? ORDER_0 : ORDER_1;
  let isSure = state.estimate !== 0;
  let changed = 0;
  for (let i = 0; i < o.accEcnFields; i++) {
    const counter = order[i];
    const told = (o.accEcn[i] - FIRST_VALUE[counter]) & 0xff_ffff;
    const delta =
      ((told - state.deliveredBytes[counter]) << (32 - COUNTER_BITS)) >> (32 - COUNTER_BITS);
    if (delta === 0) continue;
    state.deliveredBytes[counter] += delta;
    if (delta < 0) {
      // What was inferred was too much.
      changed = 2;
      continue;
    }
    if (counter + 1 === state.estimate && changed === 0) continue;
    changed++;
    if (changed === 1) state.estimate = counter + 1;
  }
  if (changed > 1) {
    state.estimate = 0;
    isSure = false;
  }
  return isSure || o.accEcnFields === FIELDS_MAX;
}

// @rfc 9768 3.2.3
/** Counters that the option of the next segment has; -1: no option. `used`: bytes of the others. */
export function optionFields(tcb: Tcb, used: number): number {
  const state = tcb.accEcn as AccEcnState;
  const { ecnOption, ecnOptionBeacon } = tcb.ctx.settings;
  if (ecnOption === 0 || state.optionSeen === OPTION_NOT_SEEN) return -1;
  if (ecnOption < 3 && (state.optionSeen === OPTION_BROKEN || state.failSend)) return -1;
  if (ecnOption === 1 && state.optionDemand === 0 && !isBeaconDue(tcb, ecnOptionBeacon)) return -1;
  for (let fields = FIELDS_MAX; fields >= state.optionMinFields; fields--) {
    if (used + optionBytes(fields) <= OPTION_SPACE) return fields;
  }
  return -1;
}

/** 3.2.3.3: at least some options a round trip. */
function isBeaconDue(tcb: Tcb, perRtt: number): boolean {
  if (perRtt <= 0) return false;
  const state = tcb.accEcn as AccEcnState;
  return seqDiff(tcb.ctx.nowUs, state.optionUs) * perRtt >= tcb.rtt.srttUs;
}

/** The wire's value of the i-th counter in the order of kind 174. */
export const counterValue = (state: AccEcnState, i: number): number =>
  (state.receivedBytes[ORDER_1[i]] + FIRST_VALUE[ORDER_1[i]]) & 0xff_ffff;

/** An option has left. */
export function optionSent(tcb: Tcb): void {
  const state = tcb.accEcn as AccEcnState;
  state.optionMinFields = 0;
  state.optionUs = tcb.ctx.nowUs;
  if (state.optionDemand > 0) state.optionDemand--;
}
