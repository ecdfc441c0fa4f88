// Larger programs, as a user runs them: a terminal session, a compiler, a web server with its client,
// process pools, shared memory, a static busybox, and the trace of system calls.

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, it } from "vitest";
import { CLI, cell, command } from "./support/cell.ts";
import { describeWith } from "./support/needs.ts";

let dir = "";
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), "netcell-real-"));
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const NO_NET = ["--net", "none"];

async function python(text: string) {
  writeFileSync(join(dir, "script.py"), text);
  return cell(["python3", "script.py"], NO_NET, { cwd: dir });
}

/** Types into a shell on a terminal; each step waits for what must appear before the next. */
function typed(steps: [string, string][]) {
  const driver = fileURLToPath(new URL("support/type-keys.py", import.meta.url));
  const shell = [process.execPath, CLI, "run", ...NO_NET, "-e", "PS1=% ", "--"];
  const argv = [...shell, "bash", "--norc", "--noprofile", "-i"];
  return command(["python3", driver, JSON.stringify(steps), ...argv]);
}

describeWith(["python3"], "a terminal session", () => {
  it("has line editing and the size of our terminal", async () => {
    const r = await typed([
      ["", "% "],
      ["echo hellp\x7fo-$((40+2))\r", "hello-42\r\n"],
      ["stty size\r", "24 80"],
      ["@50x132", ""],
      ["while [ $(stty size | cut -c1-2) != 50 ]; do sleep 0.1; done; stty size\r", "50 132"],
      ["exit 7\r", "exit"],
    ]);
    expect(r.stderr).toBe("");
    expect(r.status).toBe(7);
  });

  it("adds no carriage return that the program has switched off", async () => {
    const r = await typed([
      ["", "% "],
      ["stty -opost; printf 'a\\nb\\n'; stty opost; exit\r", "a\nb\n"],
    ]);
    expect(r.stderr).toBe("");
    expect(r.stdout).not.toContain("\r\r\n");
  });
});

describeWith(["gcc"], "gcc", () => {
  it("compiles and runs inside", async () => {
    const source = '#include <stdio.h>\nint main(void) { printf("%d\\n", 6 * 7); return 3; }\n';
    const line = "cd /tmp && cat > a.c && gcc -O2 a.c -o a && ./a";
    const r = await cell(["sh", "-c", line], NO_NET, { input: source });
    expect(r).toMatchObject({ status: 3, stdout: "42\n", stderr: "" });
  });
});

describeWith(["nginx", "curl"], "nginx and curl over the sandbox's own loopback", () => {
  it("serve and fetch 8 files of 1 MB at once", async () => {
    const script = `
set -e
mkdir /tmp/www /tmp/got; cd /tmp
for i in 1 2 3 4 5 6 7 8; do head -c 1000000 /dev/urandom > www/f$i; done
cat > conf <<'END'
worker_processes 2; pid /tmp/pid; error_log /tmp/err; daemon on; user root;
events {}
http { access_log off; client_body_temp_path /tmp/b; proxy_temp_path /tmp/p; fastcgi_temp_path /tmp/f;
  uwsgi_temp_path /tmp/u; scgi_temp_path /tmp/s; server { listen 127.0.0.1:8080; root /tmp/www; } }
END
nginx -e /tmp/err -c /tmp/conf
curl -sS --parallel --fail 'http://127.0.0.1:8080/f[1-8]' -o 'got/f#1'
nginx -e /tmp/err -c /tmp/conf -s stop
diff -r www got && echo same`;
    const r = await cell(["sh", "-c", script], NO_NET);
    expect(r).toMatchObject({ status: 0, stdout: "same\n" });
  });
});

describeWith(["python3"], "python3", () => {
  it("has process pools, shared memory, asyncio processes and Unix sockets", async () => {
    const r = await python(`
import asyncio, multiprocessing as mp, os, socket, sys
from multiprocessing import shared_memory

def square(x): return x * x

def fill(name):
    m = shared_memory.SharedMemory(name); m.buf[:4] = b"seen"; m.close()

async def talk():
    p = await asyncio.create_subprocess_exec("tr", "a-z", "A-Z", stdin=-1, stdout=-1)
    out, _ = await p.communicate(b"loud")
    async def serve(r, w):
        w.write((await r.readline()).upper()); await w.drain(); w.close()
    s = await asyncio.start_unix_server(serve, "/tmp/sock")
    r, w = await asyncio.open_unix_connection("/tmp/sock")
    w.write(b"hi\\n"); back = await r.readline(); s.close()
    return out, back

if __name__ == "__main__":
    with mp.Pool(4) as pool: print(sum(pool.map(square, range(100))))
    m = shared_memory.SharedMemory(create=True, size=4096)
    p = mp.Process(target=fill, args=(m.name,)); p.start(); p.join()
    print(bytes(m.buf[:4])); m.close(); m.unlink()
    print(asyncio.run(talk()))
    r, w = os.pipe(); a, b = socket.socketpair()
    socket.send_fds(a, [b"x"], [w]); _, fds, _, _ = socket.recv_fds(b, 10, 1)
    os.write(fds[0], b"passed"); print(os.read(r, 10))
`);
    expect(r.stderr).toBe("");
    expect(r.stdout.split("\n")).toEqual([
      "328350",
      "b'seen'",
      "(b'LOUD', b'HI\\n')",
      "b'passed'",
      "",
    ]);
  });
});

describeWith(["perl"], "perl", () => {
  it("shares a System V segment with its child", async () => {
    const text = `use IPC::SysV qw(IPC_PRIVATE IPC_RMID); my $id = shmget(IPC_PRIVATE, 4096, 0600) // die $!;
      if (!fork) { shmwrite($id, "from child", 0, 10); exit } wait; my $b; shmread($id, $b, 0, 10);
      print "$b\\n"; shmctl($id, IPC_RMID, 0) or die $!; print shmread($id, $b, 0, 1) ? "there" : "gone", "\\n"`;
    const r = await cell(["perl", "-e", text], NO_NET);
    expect(r).toMatchObject({ status: 0, stdout: "from child\ngone\n", stderr: "" });
  });
});

describeWith(["busybox"], "busybox", () => {
  it("runs its shell and its own tools over a pipe, a fifo and 100 jobs", async () => {
    const line = `cd /tmp; busybox mkfifo f; (busybox seq 1000 > f &); busybox md5sum < f
      i=0; while [ $i -lt 100 ]; do busybox true & i=$((i+1)); done; wait; echo $i
      busybox ls /proc | busybox grep -c '^[0-9]'`;
    const r = await cell(["busybox", "ash", "-c", line], NO_NET);
    const native = await command(["sh", "-c", "seq 1000 | md5sum"]);
    const [sum, jobs, processes] = r.stdout.split("\n");
    expect(`${sum}\n`).toBe(native.stdout);
    expect(jobs).toBe("100");
    // The shell, ls and grep.
    expect(Number(processes)).toBeLessThanOrEqual(3);
  });
});

describeWith([], "--strace", () => {
  it("writes each call with its arguments and result", async () => {
    const log = join(dir, "trace");
    const flags = [...NO_NET, "--strace", "--log", log];
    const r = await cell(["cat", "/nowhere", "/proc/sys/kernel/ostype"], flags);
    expect(r.status).toBe(1);
    const trace = readFileSync(log, "utf8");
    expect(trace).toMatch(/^1 openat\(AT_FDCWD, "\/nowhere", [0-9a-fx]+, 0\) = -1 ENOENT$/m);
    expect(trace).toMatch(/^1 read\(3, "Linux\\n", \d+\) = 6$/m);
    expect(trace).toMatch(/^1 exit_group\(1\) = \?$/m);
  });
});
