// Unmodified programs at work: shells, archivers, interpreters, threads, signals, vector registers.

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { CPrograms } from "./support/build-c.ts";
import { cell, command } from "./support/cell.ts";
import { describeWith } from "./support/needs.ts";

/** A tree of more than a thousand files, small ones and of megabytes. */
const BUILT = fileURLToPath(new URL("../dist", import.meta.url));

let dir = "";
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), "netcell-programs-"));
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

/** Writes a script and runs it in the sandbox from its directory. */
async function script(interpreter: string, text: string, flags: string[] = []) {
  writeFileSync(join(dir, "script"), text);
  return cell([interpreter, "script"], flags, { cwd: dir });
}

describe("shell and core utilities", () => {
  it("hashes 50 MB through a pipe", async () => {
    const line = "head -c 50000000 /dev/zero | sha256sum";
    const r = await cell(["sh", "-c", line]);
    expect(r.status).toBe(0);
    expect(r.stdout).toBe((await command(["sh", "-c", line])).stdout);
  });

  it("finds every file of the served tree", async () => {
    // What not every user of the host may read is not shown.
    const hidden = "( -type d ! -perm -005 -o ! -type l ! -perm -004 ) -prune -o";
    const outsideLine = `find . -xdev ${hidden.replace(/[()!]/g, "\\$&")} -print | sort | sha256sum`;
    const [inside, outside] = await Promise.all([
      cell(["sh", "-c", "find . -xdev | sort | sha256sum"], ["--workdir", "/usr/share"]),
      command(["sh", "-c", outsideLine], { cwd: "/usr/share" }),
    ]);
    expect(inside.stdout).toBe(outside.stdout);
  });

  it("counts the same with find / -xdev over a rootfs", async () => {
    const tree = join(dir, "tree");
    await command([
      "sh",
      "-c",
      `mkdir -p ${tree}/bin && cp $(command -v busybox || echo /bin/busybox) ${tree}/bin/busybox &&
       for i in $(seq 50); do mkdir -p ${tree}/d$i/e; for j in $(seq 20); do echo $i > ${tree}/d$i/e/f$j; done; done`,
    ]);
    const native = await command(["sh", "-c", `find ${tree} | wc -l`]);
    // Mount points that the sandbox adds (/proc, /sys, /dev) are themselves entries of the root.
    const r = await cell(
      [
        "/bin/busybox",
        "sh",
        "-c",
        "busybox find / -xdev | busybox grep -v -x -E '/(proc|sys|dev)(/.*)?' | busybox wc -l",
      ],
      ["--rootfs", tree],
    );
    expect(Number(r.stdout)).toBe(Number(native.stdout));
  });

  it("carries a tree through tar and gzip and back", async () => {
    const r = await cell(
      [
        "bash",
        "-c",
        `set -eo pipefail; find . | wc -l
         tar cf - . | gzip -1 | gzip -dc | tee >(tar tf - | wc -l >/tmp/entries) | tar df -
         echo same; while ! [ -s /tmp/entries ]; do sleep 0.05; done; cat /tmp/entries`,
      ],
      [],
      { cwd: BUILT },
    );
    const [found, same, inArchive] = r.stdout.trim().split("\n");
    expect(Number(found)).toBeGreaterThan(100);
    expect(same).toBe("same");
    expect(inArchive).toBe(found);
    expect(r.stderr).toBe("");
  });

  it("runs a bash script with traps, here-documents, arrays, jobs and 300 processes", async () => {
    const r = await script(
      "bash",
      `set -e
trap 'echo trapped; exit 7' USR1
declare -A size=([a]=1 [b]=2)
list=(x y z)
cat <<END
here \${list[1]} \${size[b]} \${#list[@]}
END
for i in $(seq 300); do /bin/true; done
(sleep 0.05; echo background) & wait $!
diff <(echo same) <(echo same) && echo substitution
echo "$(printf '%s\\n' c a b | sort | tr '\\n' ' ')"
coproc cat; echo via-coproc >&"\${COPROC[1]}"; read -r line <&"\${COPROC[0]}"; echo "$line"
kill -USR1 $$
echo not reached`,
    );
    expect(r.stdout).toBe("here y 2 3\nbackground\nsubstitution\na b c \nvia-coproc\ntrapped\n");
    expect(r.status).toBe(7);
  });
});

describeWith(["perl"], "perl", () => {
  it("forks, pipes, sorts and matches", async () => {
    const r = await script(
      "perl",
      `use strict; use warnings;
pipe(my $r, my $w); my $pid = fork();
if (!$pid) { close $r; print $w join(",", sort { $a <=> $b } map { $_ * 7 % 13 } 1..12); exit 3 }
close $w; my $line = <$r>; waitpid($pid, 0); print "$line ", $? >> 8, "\\n";
local $SIG{ALRM} = sub { print "alarm\\n" }; alarm 1; select(undef, undef, undef, 5);
print scalar(() = "a1b22c333" =~ /\\d+/g), "\\n"; print -d "/usr" ? "dir\\n" : "no\\n";`,
    );
    expect(r.stdout).toBe("1,2,3,4,5,6,7,8,9,10,11,12 3\nalarm\n3\ndir\n");
    expect(r.status).toBe(0);
  });
});

describeWith(["python3"], "python3", () => {
  it("uses threads, subprocess, sqlite3, hashlib, select and mmap", async () => {
    const r = await script(
      "/usr/bin/python3",
      `import hashlib, mmap, os, select, socket, sqlite3, subprocess, sys, tempfile, threading, time
lock, total = threading.Lock(), [0]
def work():
    for _ in range(2000):
        with lock: total[0] += 1
threads = [threading.Thread(target=work) for _ in range(8)]
[t.start() for t in threads]; [t.join() for t in threads]
print(total[0])
print(subprocess.run(["sh", "-c", "echo $0 $1; exit 5", "a", "b"], capture_output=True, text=True))
db = sqlite3.connect("/tmp/t.db"); db.execute("create table t(x int)")
db.executemany("insert into t values(?)", [(i,) for i in range(1000)]); db.commit(); db.close()
print(sqlite3.connect("/tmp/t.db").execute("select sum(x) from t").fetchone()[0])
print(hashlib.sha256(b"netcell" * 100000).hexdigest()[:16])
a, b = socket.socketpair(); a.send(b"ping"); print(select.select([b], [], [], 5)[0] == [b], b.recv(9))
with tempfile.TemporaryFile() as f:
    f.truncate(1 << 20); m = mmap.mmap(f.fileno(), 1 << 20); m[70000:70005] = b"hello"; f.seek(70000); print(f.read(5))
p = select.epoll(); p.register(a, select.EPOLLIN); b.send(b"x"); print(p.poll(5) == [(a.fileno(), select.EPOLLIN)])
s = socket.create_server(("127.0.0.1", 0)); c = socket.create_connection(s.getsockname()); d, _ = s.accept()
c.sendall(b"z" * 500000); c.close(); n = 0
while True:
    part = d.recv(65536)
    if not part: break
    n += len(part)
print(n)
t = time.monotonic(); time.sleep(0.05); print(0.04 < time.monotonic() - t)`,
    );
    expect(r.stderr).toBe("");
    expect(r.stdout).toBe(
      [
        "16000",
        "CompletedProcess(args=['sh', '-c', 'echo $0 $1; exit 5', 'a', 'b'], returncode=5, stdout='a b\\n', stderr='')",
        "499500",
        "5c468e7d076581ca",
        "True b'ping'",
        "b'hello'",
        "True",
        "500000",
        "True",
        "",
      ].join("\n"),
    );
  });
});

describeWith(["gcc"], "C programs", () => {
  const programs = new CPrograms();
  afterAll(() => programs.remove());

  it.each([
    ["threads", "right\n"],
    ["segv", "recovered\n"],
    ["fpu", "kept, rounding kept, signals seen\n"],
  ])("runs %s, dynamic and static", async (name, expected) => {
    for (const flags of [[], ["-static"]]) {
      const r = await cell([programs.build(name, ...flags)], [], { cwd: programs.directory });
      expect(r).toMatchObject({ status: 0, stdout: expected });
    }
  });
});
