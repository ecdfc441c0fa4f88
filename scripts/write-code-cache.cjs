// One process of ours, run to write its code cache (see start.cjs), which is good only for the flags that it was
// made with. Called by code-caches.mjs:
//   node FLAGS write-code-cache.cjs record NAME   runs it; what has been compiled when it ends is written
//   node FLAGS write-code-cache.cjs whole NAME    compiles all its functions, and does not run it
"use strict";

const childProcess = require("node:child_process");
const { closeSync, openSync, readFileSync, writeFileSync, writeSync } = require("node:fs");
const { join } = require("node:path");
const { setFlagsFromString } = require("node:v8");
const { Script } = require("node:vm");

const codeFile = (name) => join(__dirname, "../dist/code", `${name}.js`);
const newFile = (name) => `${codeFile(name)}.cache.new`;
const STDERR = 2;

const compile = (name) =>
  new Script(readFileSync(codeFile(name), "latin1"), { filename: codeFile(name) });

function whole(name) {
  // Compile functions now, not when first called. Back before the cache is made: it is stamped with the flags.
  setFlagsFromString("--no-lazy");
  const script = compile(name);
  setFlagsFromString("--lazy");
  writeFileSync(newFile(name), script.createCachedData());
}

function run(name, script) {
  const module = { exports: {} };
  script.runInThisContext()(module, require, codeFile(name));
  return module.exports;
}

/** Sentry and Gofer may open nothing when they end: standard error, which they keep, is the file (see below). */
function recordChild(name) {
  const script = compile(name);
  process.on("exit", () => {
    const data = script.createCachedData();
    for (let done = 0; done < data.length; ) done += writeSync(STDERR, data, done);
  });
  run(name, script);
}

/** `netcell run /bin/true`, whose children are recorded too. */
async function recordMonitor() {
  const { spawn } = childProcess;
  childProcess.spawn = (node, args, options) => {
    const flags = args.slice(0, -1);
    const name = args.at(-1).endsWith("sentry.js") ? "sentry" : "gofer";
    const fd = openSync(newFile(name), "w");
    const stdio = options.stdio.map((how, i) => (i === STDERR ? fd : how));
    const child = spawn(node, [...flags, __filename, "record", name], { ...options, stdio });
    closeSync(fd);
    return child;
  };
  // They end by themselves, and so write, when the monitor lets go of them.
  childProcess.ChildProcess.prototype.kill = () => true;
  process.argv.splice(2, process.argv.length, "run", "--", "/bin/true");
  const first = compile("start-processes");
  const rest = compile("netcell");
  const early = run("start-processes", first).startProcesses();
  // It ends by itself, and before that writes what it must: the last moment is when its children have gone.
  early.sentry.once("exit", () => {
    writeFileSync(newFile("start-processes"), first.createCachedData());
    writeFileSync(newFile("netcell"), rest.createCachedData());
  });
  await run("netcell", rest).main(early);
}

const [, , how, name] = process.argv;
if (how === "whole") whole(name);
else if (name === "netcell") recordMonitor();
else recordChild(name);
