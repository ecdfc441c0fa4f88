// Bounds of a connection's timers that a socket takes over from the sysctls when it is made (tcp_init_sock) and may
// then set for itself: TCP_RTO_MAX_MS, TCP_RTO_MIN_US, TCP_DELACK_MAX_US; and by how much its segments leave later
// (TCP_TX_DELAY). The timers are timers.ts's and rtt.ts's, the queue is stack/departures.ts's.

import { NetErr, type NetError } from "../net-error.ts";
import type { TcpSettings } from "./settings.ts";

/** Never changed: sockets that are alike share one, who wants another number makes another. */
export interface Timing {
  readonly rtoMaxUs: number;
  readonly rtoMinUs: number;
  readonly delackMaxUs: number;
  /** What both leave of a delayed ACK (tcp_delack_max): it shall be there before the other end's timeout. */
  readonly ackDelayUs: number;
  readonly txDelayUs: number;
}

export type TimingKey = "rtoMaxUs" | "rtoMinUs" | "delackMaxUs" | "txDelayUs";

const RTO_MAX_LEAST_US = 1_000_000;
// @rfc 6298 2.5
const RTO_MAX_MOST_US = 120_000_000;
/** TCP_RTO_MIN and TCP_DELACK_MAX: more than what is usual is not to be had. */
const MIN_MOST_US = 200_000;
/** Linux keeps SRTT eightfold in 31 bits. */
const TX_DELAY_MOST_US = 2 ** 28 - 1;
/** TCP_TIMEOUT_MIN. */
const TIMEOUT_MIN_TICKS = 2;

function timing(
  rtoMaxUs: number,
  rtoMinUs: number,
  delackMaxUs: number,
  txDelayUs: number,
  tickUs: number,
): Timing {
  const ackDelayUs = Math.min(delackMaxUs, Math.max(rtoMinUs, TIMEOUT_MIN_TICKS * tickUs) - tickUs);
  return { rtoMaxUs, rtoMinUs, delackMaxUs, ackDelayUs, txDelayUs };
}

const inTicks = (us: number, tickUs: number): number => Math.ceil(us / tickUs) * tickUs;

/** Of a socket made now. */
export function timingOf(settings: TcpSettings): Timing {
  const { rtoMaxUs, tickUs } = settings;
  const rtoMinUs = inTicks(settings.rtoMinUs, tickUs);
  const last = settings.lastTiming;
  if (last !== null && last.rtoMaxUs === rtoMaxUs && last.rtoMinUs === rtoMinUs) return last;
  const made = timing(rtoMaxUs, rtoMinUs, MIN_MOST_US, 0, tickUs);
  settings.lastTiming = made;
  return made;
}

/** `from` with another number in it, or InvalidArgument (do_tcp_setsockopt). Fractions of a tick count as one. */
export function changedTiming(
  from: Timing,
  key: TimingKey,
  us: number,
  tickUs: number,
): Timing | NetError {
  let { rtoMaxUs, rtoMinUs, delackMaxUs, txDelayUs } = from;
  const value = key === "txDelayUs" ? us : inTicks(us, tickUs);
  let least = TIMEOUT_MIN_TICKS * tickUs;
  let most = MIN_MOST_US;
  switch (key) {
    case "rtoMaxUs":
      least = RTO_MAX_LEAST_US;
      most = RTO_MAX_MOST_US;
      rtoMaxUs = value;
      break;
    case "txDelayUs":
      least = 0;
      most = TX_DELAY_MOST_US;
      txDelayUs = value;
      break;
    case "rtoMinUs":
      rtoMinUs = value;
      break;
    default:
      delackMaxUs = value;
  }
  if (value < least || value > most) return NetErr.InvalidArgument;
  return timing(rtoMaxUs, rtoMinUs, delackMaxUs, txDelayUs, tickUs);
}
