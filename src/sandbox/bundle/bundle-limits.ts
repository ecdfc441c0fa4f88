// What the `linux` part of a bundle limits and asks for (runtime-spec, config-linux.md): limits that we have, settings
// that we refuse because a program would rely on them, and those that are passed over and said so.

import type { SandboxOptions } from "../options.ts";
import type { Complain } from "./config-error.ts";
import type { OciConfig, OciLinux } from "./config-schema.ts";

/** More than any host has: engines write 2^63 - 1 and the like for "no limit". */
const MEMORY_BYTES_MAX = 2 ** 47;

const NAMESPACES = new Set("pid network mount ipc uts user cgroup time".split(" "));

/** In every /dev of ours; engines list them now and then. */
const DEVICES = new Set(
  "null zero full random urandom tty console ptmx".split(" ").map((name) => `/dev/${name}`),
);

/** cgroup v2's own. */
const CPU_PERIOD_US = 100_000;

type Limits = NonNullable<SandboxOptions["limits"]>;

export function bundleLimits(linux: OciLinux, complain: Complain): Limits {
  const { memory, pids, cpu } = linux.resources ?? {};
  const limits: Limits = {};
  const bytes = memory?.limit ?? -1;
  if (bytes === 0) throw complain("linux.resources.memory.limit", "leaves no memory");
  if (bytes > 0 && bytes < MEMORY_BYTES_MAX) limits.memoryBytes = bytes;
  const tasks = pids?.limit ?? -1;
  if (tasks > 0) limits.tasks = tasks;
  const quota = cpu?.quota ?? -1;
  if (quota > 0) {
    const period = cpu?.period ?? CPU_PERIOD_US;
    if (period === 0) throw complain("linux.resources.cpu.period", "must not be 0");
    limits.millicores = Math.max(1, Math.round((quota / period) * 1000));
  }
  return limits;
}

/** Throws for what would mean something else here. */
export function checkLinux(linux: OciLinux, complain: Complain): void {
  linux.namespaces?.forEach(({ type, path }, i) => {
    const where = `linux.namespaces[${i}]`;
    if (!NAMESPACES.has(type)) throw complain(`${where}.type`, `"${type}" is no namespace`);
    if (path)
      throw complain(
        `${where}.path`,
        "a sandbox has a kernel of its own and joins no namespace of the host",
      );
  });
  linux.devices?.forEach(({ path }, i) => {
    if (!DEVICES.has(path)) {
      throw complain(`linux.devices[${i}].path`, `there is no ${path} in a sandbox`);
    }
  });
  if (linux.netDevices && Object.keys(linux.netDevices).length > 0) {
    throw complain("linux.netDevices", "devices of the host cannot be moved in; see --net tap");
  }
  const domain = linux.personality?.domain ?? "LINUX";
  if (domain !== "LINUX") {
    throw complain("linux.personality.domain", `"${domain}" is not supported; only LINUX is`);
  }
}

/** There, and not an empty list or object. */
const isGiven = (value: unknown): boolean =>
  value !== null &&
  value !== undefined &&
  value !== "" &&
  !(typeof value === "object" && Object.keys(value).length === 0);

/** Restrictions and promises of the bundle that do not hold here, by their place in the file. */
export function notApplied({ process, linux }: OciConfig): string[] {
  const { cpu, blockIO, hugepageLimits, network, rdma, unified } = linux?.resources ?? {};
  const values: Record<string, unknown> = {
    "process.apparmorProfile": process.apparmorProfile,
    "process.selinuxLabel": process.selinuxLabel,
    "process.scheduler": process.scheduler,
    "process.ioPriority": process.ioPriority,
    "process.execCPUAffinity": process.execCPUAffinity,
    "linux.seccomp": linux?.seccomp,
    "linux.mountLabel": linux?.mountLabel,
    "linux.intelRdt": linux?.intelRdt,
    "linux.timeOffsets": linux?.timeOffsets,
    "linux.memoryPolicy": linux?.memoryPolicy,
    "linux.resources.cpu.cpus": cpu?.cpus,
    "linux.resources.cpu.realtimeRuntime": cpu?.realtimeRuntime,
    "linux.resources.blockIO": blockIO,
    "linux.resources.hugepageLimits": hugepageLimits,
    "linux.resources.network": network,
    "linux.resources.rdma": rdma,
    "linux.resources.unified": unified,
  };
  return Object.keys(values).filter((name) => isGiven(values[name]));
}
