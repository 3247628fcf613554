"""Runs a command in a pseudo-terminal, for tests.

  python3 pseudo_terminal.py ROWS COLUMNS COMMAND [ARGUMENT...]

What the command draws goes to standard output. Lines of standard input steer it: "keys TEXT" types, "size ROWS COLUMNS"
resizes, "signal NUMBER" signals. Ends as the command ends.
"""
import fcntl, os, pty, select, struct, sys, termios

rows, columns, command = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]


def resize(terminal, rows, columns):
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack('HHHH', rows, columns, 0, 0))


child, terminal = pty.fork()
if child == 0:
    resize(0, rows, columns)
    os.execvp(command[0], command)

sources = [terminal, 0]
while True:
    ready = select.select(sources, [], [])[0]
    if terminal in ready:
        try:
            drawn = os.read(terminal, 65536)
        except OSError:
            drawn = b''
        if not drawn:
            break
        os.write(1, drawn)
    if 0 in ready:
        told = os.read(0, 4096)
        if not told:
            sources.remove(0)
        for line in told.decode().splitlines():
            what, _, rest = line.partition(' ')
            if what == 'keys':
                os.write(terminal, rest.encode())
            elif what == 'size':
                resize(terminal, *map(int, rest.split()))
            elif what == 'signal':
                os.kill(child, int(rest))

status = os.waitpid(child, 0)[1]
sys.exit(os.waitstatus_to_exitcode(status) % 256)
