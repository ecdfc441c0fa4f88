// What a config.json becomes, and how mistakes in one are told.

import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { CAP_CHECKPOINT_RESTORE, CAP_CHOWN } from "../../abi/capability.ts";
import { MS_NODEV, MS_NOSUID, MS_RDONLY } from "../../abi/mount.ts";
import { RLIMIT_NOFILE } from "../../abi/resource.ts";
import { NetcellError } from "../errors.ts";
import { checkOptions } from "../options.ts";
import { type Bundle, readBundle } from "./read-bundle.ts";

let dir = "";
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), "netcell-bundle-"));
  mkdirSync(join(dir, "rootfs"));
  mkdirSync(join(dir, "data"));
  writeFileSync(join(dir, "file"), "");
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const minimal = (): Record<string, unknown> => ({
  ociVersion: "1.2.0",
  root: { path: "rootfs" },
  process: { cwd: "/", args: ["sh"] },
});

/** config: merged over the least that there must be. */
function read(config: unknown): Bundle {
  const whole = typeof config === "object" ? { ...minimal(), ...config } : config;
  writeFileSync(join(dir, "config.json"), JSON.stringify(whole));
  return readBundle(dir);
}

function mistake(config: unknown): string {
  try {
    read(config);
  } catch (error) {
    if (!(error instanceof NetcellError)) throw error;
    expect(error.code).toBe("ERR_USAGE");
    const file = `${join(dir, "config.json")}: `;
    expect(error.message.startsWith(file)).toBe(true);
    expect(error.message.endsWith(".")).toBe(true);
    return error.message.slice(file.length, -1);
  }
  return "none";
}

const process = (more: object): object => ({ process: { cwd: "/", args: ["sh"], ...more } });
const mount = (more: object): object => ({
  mounts: [{ destination: "/x", type: "tmpfs", ...more }],
});

describe("a bundle", () => {
  it("needs very little, and then grants nothing", () => {
    const { sandbox, program, argv, terminal, notApplied } = read({});
    expect(sandbox.rootfs).toBe(join(dir, "rootfs"));
    expect(sandbox.write).toBeUndefined();
    expect(argv).toEqual(["sh"]);
    expect(terminal).toBe(false);
    expect(notApplied).toEqual([]);
    expect(program).toMatchObject({ user: "0:0", env: [], groups: [], noNewPrivileges: false });
    expect(program.capabilities).toEqual({
      ...{ bounding: [0, 0], effective: [0, 0], permitted: [0, 0] },
      ...{ inheritable: [0, 0], ambient: [0, 0] },
    });
  });

  it("says who the process is and what it may", () => {
    const caps = ["CAP_CHOWN", "CAP_CHECKPOINT_RESTORE"];
    const { program, terminal, consoleSize } = read(
      process({
        ...{ terminal: true, consoleSize: { height: 50, width: 132 } },
        user: { uid: 4_294_967_290, gid: 7, umask: 0o27, additionalGids: [8, 9] },
        env: ["A=1", "B=x=y"],
        capabilities: { bounding: caps, permitted: caps, effective: caps, ambient: caps },
        rlimits: [{ type: "RLIMIT_NOFILE", soft: 5, hard: 2 ** 64 }],
        ...{ noNewPrivileges: true, oomScoreAdj: -5 },
      }),
    );
    expect({ terminal, consoleSize }).toEqual({
      terminal: true,
      consoleSize: { rows: 50, columns: 132 },
    });
    expect(program).toMatchObject({
      ...{ user: "4294967290:7", umask: 0o27, groups: [8, 9], env: ["A=1", "B=x=y"] },
      ...{ noNewPrivileges: true, oomScoreAdj: -5 },
      rlimits: [{ resource: RLIMIT_NOFILE, soft: 5, hard: Number.POSITIVE_INFINITY }],
    });
    const both = [1 << CAP_CHOWN, 1 << (CAP_CHECKPOINT_RESTORE - 32)];
    expect(program.capabilities?.effective).toEqual(both);
    // Not inheritable, so not ambient either.
    expect(program.capabilities?.ambient).toEqual([0, 0]);
  });

  it("has mounts in their order, with /dev as ours and what nobody misses left out", () => {
    const { sandbox } = read({
      mounts: [
        { destination: "/proc", type: "proc", source: "proc" },
        { destination: "/dev/", type: "tmpfs", options: ["nosuid", "strictatime", "size=64k"] },
        { destination: "/dev/mqueue", type: "mqueue" },
        { destination: "/sys/fs/cgroup", type: "cgroup2", options: ["ro", "nsdelegate"] },
        { destination: "/a/../d", source: "data", options: ["rbind", "rprivate", "rro", "nodev"] },
        { destination: "/f", type: "bind", source: join(dir, "file"), options: ["ro", "rw"] },
        { destination: "/t", type: "tmpfs", options: ["size=1m", "mode=700"] },
      ],
    });
    expect(sandbox.mounts).toEqual([
      { type: "proc", target: "/proc", source: "proc", flags: 0 },
      { type: "devtmpfs", target: "/dev", flags: MS_NOSUID },
      { type: "bind", target: "/d", source: join(dir, "data"), flags: MS_RDONLY | MS_NODEV },
      { type: "bind", target: "/f", source: join(dir, "file"), flags: 0 },
      { type: "tmpfs", target: "/t", flags: 0, data: "mode=1777,size=1m,mode=700" },
    ]);
    expect(() => checkOptions(sandbox)).not.toThrow();
  });

  it("limits CPU time by quota and period", () => {
    const cpu = (more: object) => read({ linux: { resources: { cpu: more } } }).sandbox.limits;
    expect(cpu({ quota: 150_000, period: 100_000 })).toEqual({ millicores: 1500 });
    expect(cpu({ quota: 20_000 })).toEqual({ millicores: 200 });
    expect(cpu({ quota: -1, period: 100_000, shares: 512 })).toEqual({});
  });

  it("limits memory and tasks, unless the number means no limit", () => {
    const resources = (memory: number, pids: number) => ({
      linux: { resources: { memory: { limit: memory }, pids: { limit: pids } } },
    });
    expect(read(resources(1 << 27, 64)).sandbox.limits).toEqual({
      memoryBytes: 1 << 27,
      tasks: 64,
    });
    expect(read(resources(-1, -1)).sandbox.limits).toEqual({});
    expect(read(resources(2 ** 63, 0)).sandbox.limits).toEqual({});
  });

  it("says what it asks for and does not get", () => {
    const { notApplied } = read({
      ...process({ apparmorProfile: "docker-default", selinuxLabel: "" }),
      linux: { seccomp: { defaultAction: "SCMP_ACT_ERRNO" }, resources: { unified: {} } },
    });
    expect(notApplied).toEqual(["process.apparmorProfile", "linux.seccomp"]);
  });

  it("ignores annotations and what the specification does not know", () => {
    expect(mistake({ annotations: { a: 1 }, "x-new": [], linux: { rest: 1 } })).toBe("none");
  });

  it("tells a mistake with its place", () => {
    symlinkSync("/dev/null", join(dir, "null"));
    const cases: [unknown, string][] = [
      [{ ociVersion: "2.0.0" }, "ociVersion: must be version 1.x"],
      [{ ociVersion: undefined }, "ociVersion: must be there"],
      [{ root: undefined }, "root: must be there"],
      [
        { root: { path: "nowhere" } },
        `root.path: "${join(dir, "nowhere")}" cannot be used (ENOENT)`,
      ],
      [{ root: { path: "file" } }, `root.path: "${join(dir, "file")}" is no directory`],
      [{ process: undefined }, "process: must be there"],
      [process({ cwd: "tmp" }), "process.cwd: must be an absolute path"],
      [process({ args: "sh" }), "process.args: must be a list"],
      [process({ args: ["sh", 1] }), "process.args[1]: must be a string"],
      [process({ args: ["a\0b"] }), "process.args[0]: has a NUL byte in it"],
      [process({ env: ["A"] }), "process.env[0]: must be NAME=VALUE"],
      [process({ user: { uid: -1 } }), "process.user.uid: must not be negative"],
      [process({ user: { uid: 2 ** 32 - 1 } }), "process.user.uid: is no user or group id"],
      [process({ user: { umask: 0o1777 } }), "process.user.umask: is no umask"],
      [
        process({ rlimits: [{ type: "NOFILE", soft: 1, hard: 1 }] }),
        'process.rlimits[0].type: "NOFILE" is no resource limit',
      ],
      [
        process({ rlimits: [{ type: "RLIMIT_CPU", soft: 2, hard: 1 }] }),
        "process.rlimits[0].soft: is above the hard limit",
      ],
      [
        process({ capabilities: { bounding: ["CAP_ALL"] } }),
        'process.capabilities.bounding[0]: "CAP_ALL" is no capability',
      ],
      [
        process({ capabilities: { effective: ["CAP_KILL"] } }),
        "process.capabilities.effective: holds some that are not permitted",
      ],
      [mount({ destination: "x" }), "mounts[0].destination: must be an absolute path"],
      [mount({ destination: "/a/.." }), "mounts[0].destination: what is seen as /"],
      [mount({ type: "ext4" }), 'mounts[0].type: "ext4" is not supported'],
      [mount({ type: undefined }), "mounts[0].type: must be there unless it is a bind"],
      [mount({ options: ["ro", "tmpcopyup"] }), 'mounts[0].options[1]: "tmpcopyup" is not'],
      [mount({ options: ["remount"] }), 'mounts[0].options[0]: "remount" is not supported'],
      [mount({ options: ["rsize=1"] }), 'mounts[0].options[0]: "rsize=1" is not supported'],
      [mount({ type: "bind" }), "mounts[0].source: must be there for a bind"],
      [mount({ type: "bind", source: "no" }), `mounts[0].source: "${join(dir, "no")}" cannot be`],
      [
        mount({ type: "bind", source: "null" }),
        `mounts[0].source: "${join(dir, "null")}" is neither`,
      ],
      [
        { linux: { namespaces: [{ type: "pid" }, { type: "network", path: "/proc/1/ns/net" }] } },
        "linux.namespaces[1].path: a sandbox has a kernel of its own",
      ],
      [
        { linux: { devices: [{ path: "/dev/fuse", type: "c" }] } },
        "linux.devices[0].path: there is no",
      ],
      [{ linux: { resources: { memory: { limit: 0 } } } }, "linux.resources.memory.limit: leaves"],
      [{ linux: { sysctl: { "net.x": 1 } } }, "linux.sysctl.net.x: must be a string"],
      [
        { hooks: { prestart: [{ path: "/bin/true" }] } },
        "hooks.prestart: hooks are programs of the host",
      ],
    ];
    for (const [config, words] of cases) expect(mistake(config)).toContain(words);
    writeFileSync(join(dir, "config.json"), "{ nonsense");
    expect(() => readBundle(dir)).toThrow(/config\.json: is no JSON \(/);
    writeFileSync(join(dir, "config.json"), `"${"x".repeat(1 << 20)}"`);
    expect(() => readBundle(dir)).toThrow(/is longer than a mebibyte/);
    expect(() => readBundle(join(dir, "data"))).toThrow(/a bundle is a folder with a config\.json/);
  });

  it("is options or a mistake, whatever stands in it", () => {
    const keys = "ociVersion root process mounts linux hooks hostname path args env user".split(
      " ",
    );
    const json = fc.letrec((tie) => ({
      any: fc.oneof(
        { maxDepth: 4 },
        fc.jsonValue(),
        fc.dictionary(fc.constantFrom(...keys), tie("any")),
        fc.array(tie("any"), { maxLength: 3 }),
      ),
    })).any;
    fc.assert(
      fc.property(json, fc.constantFrom("process", "mounts", "linux", "root", ""), (value, at) => {
        const said = at === "" ? mistake(value) : mistake({ [at]: value });
        expect(said).not.toBe("");
      }),
      { numRuns: 300 },
    );
  });
});
