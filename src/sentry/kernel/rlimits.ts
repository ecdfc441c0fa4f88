// Resource limits of a process (getrlimit(2)), with the defaults that a container gets.

import {
  RLIM_INFINITY,
  RLIM_NLIMITS,
  RLIMIT_CORE,
  RLIMIT_MEMLOCK,
  RLIMIT_MSGQUEUE,
  RLIMIT_NICE,
  RLIMIT_NOFILE,
  RLIMIT_NPROC,
  RLIMIT_RTPRIO,
  RLIMIT_SIGPENDING,
  RLIMIT_STACK,
} from "../../abi/resource.ts";
import { KiB, type Limits, MiB } from "../../base/limits.ts";

export interface Rlimit {
  readonly soft: number;
  readonly hard: number;
}

const UNLIMITED: Rlimit = { soft: RLIM_INFINITY, hard: RLIM_INFINITY };
const SOFT_NOFILE = 1024;
const SIGNALS_PENDING = 15_000;

export class Rlimits {
  #values: Rlimit[];

  private constructor(values: Rlimit[]) {
    this.#values = values;
  }

  static defaults(limits: Limits): Rlimits {
    const values: Rlimit[] = new Array(RLIM_NLIMITS).fill(UNLIMITED);
    const descriptors = limits.descriptorsPerProcess;
    values[RLIMIT_STACK] = { soft: 8 * MiB, hard: RLIM_INFINITY };
    // No core files are ever written.
    values[RLIMIT_CORE] = { soft: 0, hard: RLIM_INFINITY };
    values[RLIMIT_NPROC] = { soft: limits.tasks, hard: limits.tasks };
    values[RLIMIT_NOFILE] = { soft: Math.min(SOFT_NOFILE, descriptors), hard: descriptors };
    values[RLIMIT_MEMLOCK] = { soft: 64 * KiB, hard: 64 * KiB };
    values[RLIMIT_SIGPENDING] = { soft: SIGNALS_PENDING, hard: SIGNALS_PENDING };
    values[RLIMIT_MSGQUEUE] = { soft: 819_200, hard: 819_200 };
    values[RLIMIT_NICE] = { soft: 0, hard: 0 };
    values[RLIMIT_RTPRIO] = { soft: 0, hard: 0 };
    return new Rlimits(values);
  }

  get(resource: number): Rlimit {
    return this.#values[resource];
  }
  set(resource: number, value: Rlimit): void {
    this.#values[resource] = value;
  }
  fork(): Rlimits {
    return new Rlimits(this.#values.slice());
  }
}
