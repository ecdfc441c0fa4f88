// config.json of an OCI bundle as far as it matters here (runtime-spec 1.x, config.md and config-linux.md): what must be
// there, and of what kind. Properties that are not named are ignored, as the specification asks. What becomes of
// the values is in the files beside this one.

import * as v from "valibot";

const U32_MAX = 0xffff_ffff;
/** Of one list: far more than any engine writes. */
const LIST_MAX = 10_000;

const text = v.pipe(
  v.string("must be a string"),
  v.check((s) => !s.includes("\0"), "has a NUL byte in it"),
);
const filled = v.pipe(text, v.nonEmpty("must not be empty"));
const absolute = v.pipe(text, v.startsWith("/", "must be an absolute path"));
const flag = v.boolean("must be true or false");
const integer = v.pipe(v.number("must be a number"), v.integer("must be a whole number"));
const natural = v.pipe(integer, v.minValue(0, "must not be negative"));
const u32 = v.pipe(natural, v.maxValue(U32_MAX, "does not fit 32 bits"));
/** 2^32 - 1 means "none" (setresuid(2)). */
const id = v.pipe(natural, v.maxValue(U32_MAX - 1, "is no user or group id"));
const list = <T extends v.GenericSchema>(item: T) =>
  v.nullish(v.pipe(v.array(item, "must be a list"), v.maxLength(LIST_MAX, "is too long")), []);
const object = <T extends v.ObjectEntries>(entries: T) =>
  v.object(entries, ({ expected }) => `must be ${expected === "Object" ? "an object" : "there"}`);
/** Something whose presence alone counts. */
const anything = v.nullish(v.unknown());

const hook = object({ path: v.optional(text) });
const idMapping = object({ containerID: u32, hostID: u32, size: u32 });

const user = object({
  uid: v.optional(id, 0),
  gid: v.optional(id, 0),
  umask: v.nullish(v.pipe(natural, v.maxValue(0o777, "is no umask"))),
  additionalGids: list(id),
});

const capabilities = object({
  bounding: list(text),
  effective: list(text),
  permitted: list(text),
  inheritable: list(text),
  ambient: list(text),
});

const process = object({
  terminal: v.nullish(flag),
  consoleSize: v.nullish(object({ height: natural, width: natural })),
  cwd: absolute,
  env: list(
    v.pipe(
      text,
      v.check((s) => s.indexOf("=") > 0, "must be NAME=VALUE"),
    ),
  ),
  args: list(text),
  user: v.nullish(user, { uid: 0, gid: 0 }),
  rlimits: list(object({ type: text, soft: natural, hard: natural })),
  capabilities: v.nullish(capabilities),
  noNewPrivileges: v.nullish(flag),
  oomScoreAdj: v.nullish(v.pipe(integer, v.minValue(-1000), v.maxValue(1000))),
  apparmorProfile: v.nullish(text),
  selinuxLabel: v.nullish(text),
  scheduler: anything,
  ioPriority: anything,
  execCPUAffinity: anything,
});

const mount = object({
  destination: absolute,
  type: v.nullish(text),
  source: v.nullish(text),
  options: list(text),
  uidMappings: list(idMapping),
  gidMappings: list(idMapping),
});

const resources = object({
  memory: v.nullish(object({ limit: v.nullish(integer), disableOOMKiller: v.nullish(flag) })),
  cpu: v.nullish(
    object({
      quota: v.nullish(integer),
      period: v.nullish(natural),
      realtimeRuntime: v.nullish(integer),
      cpus: v.nullish(text),
      mems: v.nullish(text),
    }),
  ),
  pids: v.nullish(object({ limit: v.nullish(integer) })),
  blockIO: anything,
  hugepageLimits: anything,
  network: anything,
  rdma: anything,
  unified: anything,
});

const linux = object({
  namespaces: list(object({ type: text, path: v.nullish(text) })),
  uidMappings: list(idMapping),
  gidMappings: list(idMapping),
  devices: list(object({ path: absolute, type: text })),
  resources: v.nullish(resources),
  sysctl: v.nullish(v.record(text, text), {}),
  maskedPaths: list(absolute),
  readonlyPaths: list(absolute),
  seccomp: anything,
  mountLabel: v.nullish(text),
  rootfsPropagation: v.nullish(text),
  intelRdt: anything,
  timeOffsets: anything,
  memoryPolicy: anything,
  netDevices: anything,
  personality: v.nullish(object({ domain: text })),
});

export const configSchema = object({
  ociVersion: v.pipe(
    text,
    v.regex(
      /^1\.\d{1,4}\.\d{1,4}([-+].{0,64})?$/,
      "must be version 1.x of the OCI runtime specification",
    ),
  ),
  root: object({ path: filled, readonly: v.nullish(flag) }),
  mounts: list(mount),
  process: object(process.entries),
  hostname: v.nullish(text),
  domainname: v.nullish(text),
  hooks: v.nullish(v.record(text, v.nullable(v.array(hook)))),
  linux: v.nullish(linux),
});

export type OciConfig = v.InferOutput<typeof configSchema>;
export type OciMount = OciConfig["mounts"][number];
export type OciProcess = OciConfig["process"];
export type OciLinux = NonNullable<OciConfig["linux"]>;
