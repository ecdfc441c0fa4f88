// The stack's readiness bits as poll(2)'s.

import {
  POLLERR,
  POLLHUP,
  POLLIN,
  POLLOUT,
  POLLPRI,
  POLLRDHUP,
  POLLRDNORM,
  POLLWRNORM,
} from "../../../abi/poll.ts";
import { Ready } from "../../../netstack/index.ts";

function translate(ready: number): number {
  let mask = 0;
  if ((ready & Ready.Read) !== 0) mask |= POLLIN | POLLRDNORM;
  if ((ready & Ready.Write) !== 0) mask |= POLLOUT | POLLWRNORM;
  if ((ready & (Ready.Error | Ready.ErrorQueue)) !== 0) mask |= POLLERR;
  if ((ready & Ready.ReadClosed) !== 0) mask |= POLLIN | POLLRDNORM | POLLRDHUP;
  if ((ready & Ready.Hangup) !== 0) mask |= POLLHUP;
  if ((ready & Ready.Urgent) !== 0) mask |= POLLPRI;
  return mask;
}

const TABLE = Uint16Array.from({ length: 128 }, (_, ready) => translate(ready));

export const pollMaskOf = (ready: number): number => TABLE[ready & 127];
