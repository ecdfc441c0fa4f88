# Runs argv[2:] on a new terminal and types: argv[1] is a JSON list of [keys, what must appear next].
# ["@ROWSxCOLUMNS", ...] changes the size instead. Prints the whole screen traffic; status of the program.
import fcntl, json, os, pty, select, signal, struct, sys, termios, time

steps = json.loads(sys.argv[1])
pid, fd = pty.fork()
if pid == 0:
    os.execvp(sys.argv[2], sys.argv[2:])


def resize(rows, columns):
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    os.kill(pid, signal.SIGWINCH)


fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
screen = b""
seen = 0


def read_until(text, limit=20):
    global screen, seen
    end = time.time() + limit
    while True:
        at = screen.find(text, seen)
        if at >= 0:
            seen = at + len(text)
            return
        if time.time() > end or not read_some():
            sys.stdout.buffer.write(screen)
            sys.exit(f"waited in vain for {text!r}")


def read_some():
    global screen
    if not select.select([fd], [], [], 0.2)[0]:
        return True
    try:
        data = os.read(fd, 65536)
    except OSError:
        return False
    screen += data
    return data != b""


for keys, expected in steps:
    if keys.startswith("@"):
        resize(*map(int, keys[1:].split("x")))
    else:
        os.write(fd, keys.encode("latin-1"))
    if expected:
        read_until(expected.encode("latin-1"))
while read_some():
    pass
sys.stdout.buffer.write(screen)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
