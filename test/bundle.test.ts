// `netcell run --bundle`: an OCI runtime bundle made of a static busybox. Runs as whoever runs the tests.

import {
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { CLI, command, netcell, type Outcome } from "./support/cell.ts";
import { describeWith, which } from "./support/needs.ts";

const APPLETS = "sh id cat ls env pwd touch hostname stty grep echo mount sleep dd".split(" ");

/** As `runc spec` writes it, with a process of few rights. */
const config = (script: string, more: Record<string, unknown> = {}): Record<string, unknown> => ({
  ociVersion: "1.2.0",
  root: { path: "rootfs", readonly: true },
  hostname: "my_box",
  process: {
    args: ["sh", "-c", script],
    ...{ cwd: "/work/dir", env: ["PATH=/bin", "FOO=two words"] },
    user: { uid: 1000, gid: 100, umask: 0o77, additionalGids: [5, 6] },
    capabilities: { bounding: ["CAP_KILL"], permitted: ["CAP_KILL"], effective: ["CAP_KILL"] },
    rlimits: [{ type: "RLIMIT_NOFILE", soft: 512, hard: 1_048_576 }],
    noNewPrivileges: true,
  },
  mounts: [
    { destination: "/proc", type: "proc", source: "proc" },
    {
      ...{ destination: "/dev", type: "tmpfs", source: "tmpfs" },
      options: ["nosuid", "strictatime", "mode=755", "size=65536k"],
    },
    {
      ...{ destination: "/dev/pts", type: "devpts", source: "devpts" },
      options: ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"],
    },
    {
      ...{ destination: "/dev/shm", type: "tmpfs", source: "shm" },
      options: ["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"],
    },
    { destination: "/dev/mqueue", type: "mqueue", source: "mqueue", options: ["nosuid"] },
    { destination: "/sys", type: "sysfs", source: "sysfs", options: ["nosuid", "ro"] },
    { destination: "/sys/fs/cgroup", type: "cgroup", source: "cgroup", options: ["ro"] },
    { destination: "/tmp", type: "tmpfs", source: "tmpfs", options: ["size=1m"] },
  ],
  linux: {
    namespaces: ["pid", "network", "ipc", "uts", "mount"].map((type) => ({ type })),
    resources: { memory: { limit: 256 << 20 }, pids: { limit: 20 } },
    sysctl: { "net.ipv4.ip_forward": "1", "net.ipv4.ip_unprivileged_port_start": "80" },
    maskedPaths: ["/proc/keys", "/sys/firmware", "/secret", "/not/there"],
    readonlyPaths: ["/proc/sys", "/not/there"],
  },
  ...more,
});

describeWith(["busybox"], "an OCI bundle", () => {
  let dir = "";
  beforeAll(() => {
    dir = mkdtempSync(join(tmpdir(), "netcell-bundle-"));
    const bin = join(dir, "rootfs/bin");
    mkdirSync(bin, { recursive: true });
    copyFileSync(which("busybox") as string, join(bin, "busybox"));
    for (const name of APPLETS) symlinkSync("busybox", join(bin, name));
    mkdirSync(join(dir, "rootfs/etc"));
    writeFileSync(join(dir, "rootfs/etc/hosts"), "as it was\n");
    writeFileSync(join(dir, "rootfs/secret"), "secret\n");
    for (const name of ["volume", "sealed"]) {
      mkdirSync(join(dir, name));
      writeFileSync(join(dir, name, "old"), "old\n");
    }
  });
  afterAll(() => rmSync(dir, { recursive: true, force: true }));

  function run(
    given: Record<string, unknown>,
    flags: string[] = [],
    argv: string[] = [],
  ): Promise<Outcome> {
    writeFileSync(join(dir, "config.json"), JSON.stringify(given));
    return netcell(["run", "--bundle", dir, ...flags, ...argv]);
  }

  it("runs its process as it says", async () => {
    const r = await run(
      config(
        "id -u; id -g; id -G; pwd; umask; ulimit -n; ulimit -Hn; hostname; echo $FOO; env | grep -c =; exit 7",
      ),
    );
    expect(r.stderr).toBe("");
    // PATH, FOO, and PWD and SHLVL of the shell's own.
    expect(r.stdout).toBe(
      "1000\n100\n100 5 6\n/work/dir\n0077\n512\n65536\nmy_box\ntwo words\n4\n",
    );
    expect(r.status).toBe(7);
  });

  it("gives the capabilities that it grants, and none without", async () => {
    const r = await run(config("grep -E 'CapPrm|CapBnd|NoNew' /proc/self/status"));
    // An execve by another than root keeps the ambient ones alone (capabilities(7)).
    expect(r.stdout).toBe("CapPrm:\t0000000000000000\nCapBnd:\t0000000000000020\nNoNewPrivs:\t1\n");
    const root = config("grep -E 'CapPrm|CapEff' /proc/self/status; hostname other");
    (root.process as Record<string, unknown>).user = { uid: 0, gid: 0 };
    const asRoot = await run(root);
    expect(asRoot.stdout).toBe("CapPrm:\t0000000000000020\nCapEff:\t0000000000000020\n");
    expect(asRoot.stderr).toMatch(/not permitted/);
  });

  it("seals the root, masks paths and writes settings", async () => {
    const script = `touch /x; echo y > /tmp/x && cat /tmp/x; cat /secret; ls /sys/firmware
      cat /proc/sys/net/ipv4/ip_forward; echo 0 > /proc/sys/net/ipv4/ip_forward; touch /sys/x`;
    const r = await run(config(script));
    expect(r.stdout).toBe("y\n1\n");
    expect(r.stderr.match(/Read-only file system/g)).toHaveLength(3);
  });

  it("mounts what it lists, writable for real where it says so", async () => {
    const { mounts } = config("") as { mounts: unknown[] };
    const binds = [
      ...mounts,
      { destination: "/volume", source: "volume", options: ["rbind", "rw"] },
      {
        destination: "/sealed",
        type: "bind",
        source: join(dir, "sealed"),
        options: ["bind", "ro", "noexec"],
      },
    ];
    const script = "cat /volume/old /sealed/old; echo new > /volume/new; touch /sealed/new; mount";
    const given = config(script, { mounts: binds });
    // As the owner of the host's files, whoever that is.
    (given.process as Record<string, unknown>).user = {
      uid: process.getuid?.(),
      gid: process.getgid?.(),
    };
    const r = await run(given);
    expect(r.stdout).toContain("old\nold\n");
    expect(r.stdout).toMatch(/on \/sealed type \S+ \(ro,noexec/);
    expect(r.stdout).toMatch(/on \/sys type sysfs \(ro,nosuid/);
    expect(r.stderr).toBe("touch: /sealed/new: Read-only file system\n");
    expect(readFileSync(join(dir, "volume/new"), "utf8")).toBe("new\n");
  });

  it("holds its limits", async () => {
    const script = "i=0; while [ $i -lt 40 ]; do sleep 1 & i=$((i+1)); done";
    const r = await run(config(script, { linux: { resources: { pids: { limit: 10 } } } }));
    expect(r.stderr).toMatch(/fork|Resource temporarily unavailable/);
    const small = config("dd if=/dev/zero of=/dev/null bs=200M count=1; echo $?", {
      linux: { resources: { memory: { limit: 48 << 20 } } },
    });
    expect((await run(small)).stdout).not.toBe("0\n");
  });

  it("yields to what is typed", async () => {
    const flags = ["--hostname", "typed", "--env", "FOO=typed", "--user", "7:8", "--workdir", "/"];
    const r = await run(
      config("exit 1"),
      [...flags, "--write", "overlay"],
      [..."sh -c".split(" "), "hostname; echo $FOO; id -u; pwd; touch /tmp/x && echo wrote"],
    );
    expect(r).toMatchObject({ status: 0, stdout: "typed\ntyped\n7\n/\nwrote\n", stderr: "" });
  });

  it("leaves the host's files alone that the sandbox has its own of", async () => {
    const given = config("grep my_box /etc/hosts && echo mine > /kept", {
      root: { path: "rootfs" },
      linux: {},
    });
    (given.process as Record<string, unknown>).user = { uid: 0, gid: 0 };
    const caps = ["CAP_DAC_OVERRIDE"];
    (given.process as Record<string, unknown>).capabilities = {
      ...{ bounding: caps, effective: caps, permitted: caps },
    };
    const r = await run(given, ["--write", "through"]);
    expect(r.stderr).toBe("");
    expect(r.stdout).toContain("my_box");
    expect(readFileSync(join(dir, "rootfs/etc/hosts"), "utf8")).toBe("as it was\n");
    expect(readFileSync(join(dir, "rootfs/kept"), "utf8")).toBe("mine\n");
    const bound = join(dir, "volume/old");
    const mounts = [{ destination: "/etc/hosts", source: bound, options: ["rbind"] }];
    const over = await run(config("cat /etc/hosts", { mounts }));
    expect(over.stdout).toBe("old\n");
    expect(readFileSync(bound, "utf8")).toBe("old\n");
  });

  it("says what is wrong, in one sentence with the file and the place", async () => {
    const file = join(dir, "config.json");
    const hooked = config("true", { hooks: { poststop: [{ path: "/bin/true" }] } });
    const { status, stderr } = await run(hooked);
    expect(status).toBe(125);
    expect(stderr).toBe(
      `netcell: ${file}: hooks.poststop: hooks are programs of the host, and netcell runs none; take them out.\n`,
    );
    const sysctl = config("true", { linux: { sysctl: { "net.ipv4.no_such": "1" } } });
    const unknown = await run(sysctl);
    expect(unknown.status).toBe(125);
    expect(unknown.stderr).toBe(
      "netcell: the sandbox cannot be set up: sysctl net.ipv4.no_such: this kernel has no such setting.\n",
    );
    const nothing = await netcell(["run", "--bundle", join(dir, "volume")]);
    expect(nothing.stderr).toMatch(/^netcell: .*config\.json: does not exist: .*\n$/);
    const both = await run(config("true"), ["--rootfs", "/"]);
    expect(both.stderr).toBe("netcell: --rootfs and --bundle exclude each other.\n");
  });

  it("warns of what it asks for and does not get, and runs", async () => {
    const linux = { seccomp: { defaultAction: "SCMP_ACT_ERRNO" } };
    const r = await run(config("echo ran", { linux }));
    expect(r.stdout).toBe("ran\n");
    expect(r.stderr).toBe("netcell: the bundle asks for what is not done here: linux.seccomp.\n");
  });

  it("has a terminal when it asks for one", async () => {
    const given = config("stty size; [ -t 1 ] && echo terminal");
    Object.assign(given.process as object, {
      terminal: true,
      consoleSize: { height: 30, width: 90 },
    });
    writeFileSync(join(dir, "config.json"), JSON.stringify(given));
    // A FIFO opened both ways never ends: the end of the keyboard would hang the terminal up.
    const script = 'mkfifo "$1/keyboard" && exec "$2" "$3" run --bundle "$1" <>"$1/keyboard"';
    const r = await command(["sh", "-c", script, "sh", dir, process.execPath, CLI]);
    expect(r.stdout).toBe("30 90\r\nterminal\r\n");
  });
});
