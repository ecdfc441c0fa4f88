// An OCI runtime bundle (a folder with config.json, runtime-spec 1.x) as options of a sandbox and of its program. The
// file is somebody else's: everything in it is checked before anything comes of it, and a mistake is told with the
// file and the place in it. Not a container runtime: nothing of create, start and delete, and no hooks.

import { closeSync, constants, fstatSync, openSync, readSync, statSync } from "node:fs";
import { join, resolve } from "node:path";
import * as v from "valibot";
import type { SandboxOptions, SpawnOptions } from "../options.ts";
import { bundleLimits, checkLinux, notApplied } from "./bundle-limits.ts";
import { bundleMounts } from "./bundle-mounts.ts";
import { bundleProgram } from "./bundle-process.ts";
import { type Complain, complainAbout, placeText } from "./config-error.ts";
import { configSchema, type OciConfig } from "./config-schema.ts";

/** Engines write 20 to 60 KB, most of it seccomp rules. */
const CONFIG_BYTES_MAX = 1 << 20;

export interface Bundle {
  /** For Sandbox.start. */
  sandbox: SandboxOptions;
  /** For spawn: process.args, and all else that the bundle says of the process. */
  argv: string[];
  program: SpawnOptions;
  /** The process wants a terminal. */
  terminal: boolean;
  consoleSize: { rows: number; columns: number } | null;
  /** What the file asks for and is not done, by its place: "linux.seccomp". */
  notApplied: string[];
}

/** Never waits for a FIFO, and never reads more than it may. */
function readConfig(file: string, complain: Complain): string {
  let fd = -1;
  try {
    fd = openSync(file, constants.O_RDONLY | constants.O_NONBLOCK);
    if (!fstatSync(fd).isFile()) throw complain("", "is no regular file");
    const bytes = Buffer.alloc(CONFIG_BYTES_MAX + 1);
    let length = 0;
    for (let n = -1; n !== 0 && length < bytes.length; length += n) {
      n = readSync(fd, bytes, length, bytes.length - length, null);
    }
    if (length > CONFIG_BYTES_MAX) throw complain("", "is longer than a mebibyte");
    return bytes.toString("utf8", 0, length);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ENOTDIR") {
      throw complain(
        "",
        "does not exist: a bundle is a folder with a config.json and a root file system",
      );
    }
    if (error instanceof Error && typeof (error as NodeJS.ErrnoException).errno === "number") {
      throw complain("", `cannot be read (${code})`);
    }
    throw error;
  } finally {
    if (fd >= 0) closeSync(fd);
  }
}

function parseConfig(text: string, complain: Complain): OciConfig {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    throw complain("", `is no JSON (${(error as Error).message.replace(/\s+/g, " ")})`);
  }
  const result = v.safeParse(configSchema, json, { abortEarly: true });
  if (result.success) return result.output;
  const issue = result.issues[0];
  throw complain(placeText(issue.path?.map((p) => p.key as PropertyKey) ?? []), issue.message);
}

function checkHooks(config: OciConfig, complain: Complain): void {
  for (const [kind, hooks] of Object.entries(config.hooks ?? {})) {
    if (hooks !== null && hooks.length > 0) {
      throw complain(
        `hooks.${kind}`,
        "hooks are programs of the host, and netcell runs none; take them out",
      );
    }
  }
}

function rootOf(config: OciConfig, directory: string, complain: Complain): string {
  const root = resolve(directory, config.root.path);
  try {
    if (statSync(root).isDirectory()) return root;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw complain("root.path", `"${root}" cannot be used (${code})`);
  }
  throw complain("root.path", `"${root}" is no directory`);
}

/** Throws ERR_USAGE with the file and the place in it. */
export function readBundle(directory: string): Bundle {
  const folder = resolve(directory);
  const complain = complainAbout(join(folder, "config.json"));
  const config = parseConfig(readConfig(join(folder, "config.json"), complain), complain);
  checkHooks(config, complain);
  const { linux, process } = config;
  const sandbox: SandboxOptions = {
    rootfs: rootOf(config, folder, complain),
    mounts: bundleMounts(config.mounts ?? [], folder, complain),
    directories: [process.cwd],
  };
  if (config.root.readonly === true) sandbox.write = "readonly";
  if (config.hostname) sandbox.hostname = config.hostname;
  if (config.domainname) sandbox.domainname = config.domainname;
  if (linux) {
    checkLinux(linux, complain);
    sandbox.limits = bundleLimits(linux, complain);
    sandbox.maskedPaths = linux.maskedPaths ?? [];
    sandbox.readonlyPaths = linux.readonlyPaths ?? [];
    sandbox.sysctl = linux.sysctl ?? {};
  }
  const program = bundleProgram(process, complain);
  const { argv, options, terminal, consoleSize } = program;
  return {
    ...{ sandbox, argv, program: options, terminal, consoleSize },
    notApplied: notApplied(config),
  };
}
