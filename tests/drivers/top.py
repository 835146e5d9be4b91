"""pgstrata top in a pseudo terminal. Arguments: the program, and the port of the console.

Between them stands a relay that breaks off and comes back.
"""

import fcntl
import os
import pty
import re
import select
import signal
import socket
import struct
import sys
import termios
import threading
import time

PROGRAM, PORT = sys.argv[1], int(sys.argv[2])
PATIENCE = 60


class Relay:
    """Passes connections on to the console, until it is cut."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.pairs, self.is_cut, self.accepted, self.pause = [], False, 0, 0
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            client, _ = self.listener.accept()
            if self.is_cut:
                client.close()
                continue
            self.accepted += 1
            server = socket.create_connection(("127.0.0.1", PORT))
            self.pairs += [client, server]
            for one, other in [(client, server), (server, client)]:
                threading.Thread(target=self.copy, args=(one, other), daemon=True).start()

    def copy(self, one, other):
        try:
            while data := one.recv(65536):
                time.sleep(self.pause)
                other.sendall(data)
        except OSError:
            pass

    def cut(self):
        self.is_cut = True
        for each in self.pairs:
            try:
                each.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            each.close()


class Terminal:
    """What the program writes, as far as it was read."""

    def __init__(self, arguments, environment, lines=40):
        self.pid, self.end = pty.fork()
        if self.pid == 0:
            os.execve(PROGRAM, [PROGRAM, *arguments], {**os.environ, **environment})
        self.lines, self.seen = lines, ""
        self.resize()

    def resize(self):
        """All is drawn anew: else only what has changed is."""
        self.lines ^= 1
        fcntl.ioctl(self.end, termios.TIOCSWINSZ, struct.pack("HHHH", self.lines, 160, 0, 0))
        os.kill(self.pid, signal.SIGWINCH)

    def wait_for(self, text):
        until = time.monotonic() + PATIENCE
        while text not in re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", " ", self.seen):
            ready, _, _ = select.select([self.end], [], [], 1.5)
            if ready:
                self.seen += os.read(self.end, 65536).decode(errors="replace")
            elif time.monotonic() < until:
                self.resize()
            else:
                sys.exit(f"{text!r} does not come: {self.seen[-3000:]!r}")

    def press(self, key):
        self.seen = ""
        os.write(self.end, key.encode())

    def ends_well(self):
        self.seen = ""
        while True:
            try:
                data = os.read(self.end, 65536)
            except OSError:
                break
            if not data:
                break
            self.seen += data.decode(errors="replace")
        assert "\x1b[?1049l" in self.seen, f"the terminal is left as it was: {self.seen[-300:]!r}"
        _, status = os.waitpid(self.pid, 0)
        assert os.waitstatus_to_exitcode(status) == 0, status


relay = Relay()
environment = {"PGPASSWORD": "watcher", "TERM": "xterm-256color"}
arguments = ["top", "--interval", "1", "--url", f"postgresql://watcher@127.0.0.1:{relay.port}/pgstrata"]
terminal = Terminal(arguments, environment)
for part in ["Tenants by", "acme_corp", "Statements by", "Clients that run"]:
    terminal.wait_for(part)
assert "\x1b[38;5;" in terminal.seen, "colours"
# Keys while an answer is on its way leave the connection alone.
relay.pause = 0.1
for key in "2341" * 10:
    terminal.press(key)
    time.sleep(0.05)
terminal.press("3")
terminal.wait_for("Statements by")
assert relay.accepted == 1, relay.accepted
relay.pause = 0
relay.cut()
terminal.wait_for("Trying again")
relay.is_cut = False
# It asks anew, and shows that nothing is new.
terminal.seen = ""
terminal.wait_for("0 us")
terminal.press("p")
terminal.wait_for("paused")
terminal.press("q")
terminal.ends_well()

plain = Terminal(arguments, {**environment, "NO_COLOR": "1"}, lines=6)
plain.wait_for("acme_corp")
assert "\x1b[38;5;" not in plain.seen, "no colours"
plain.press("\x03")
plain.ends_well()
for number in [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT]:
    ended = Terminal(arguments, environment)
    ended.wait_for("acme_corp")
    os.kill(ended.pid, number)
    ended.ends_well()
print("well")
