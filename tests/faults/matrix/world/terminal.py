"""A job on its own terminal, which is then closed."""

import contextlib
import fcntl
import os
import subprocess
import termios
import threading
import time

from world.running import Outcome, Running


class OnTerminal(Running):
    """Like `Running`, with its output on the terminal."""

    def __init__(self, command, env=None):
        self.master, slave = os.openpty()
        self.began, self.screen = time.monotonic(), b""
        self.process = subprocess.Popen(
            command, stdin=slave, stdout=slave, stderr=slave, start_new_session=True, env={**os.environ, **(env or {})},
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))
        os.close(slave)
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def read(self):
        # Linux returns EIO when the other side has closed.
        with contextlib.suppress(OSError):
            while more := os.read(self.master, 4096):
                self.screen += more

    def hang_up(self):
        """Closes the terminal: the kernel sends SIGHUP to its foreground processes, and each later write to it fails."""
        master, self.master = self.master, -1
        os.close(master)

    def end(self, what="", struck=True, patience=150):
        try:
            self.process.wait(patience)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            return Outcome(-14, f"did not end within {patience} s; {self.screen.decode(errors='replace')}", None, struck, what)
        finally:
            if self.master >= 0:
                self.reader.join(5)
                self.hang_up()
        return Outcome(self.process.returncode, self.screen.decode(errors="replace"), None, struck, what)
