"""A directory behind a file system that fails or lies on order (lying_fs.py)."""

import os
import subprocess
import sys

from world.machine import await_that, run


class Medium:
    """Shows `directory` at `mountpoint`."""

    def __init__(self, directory, mountpoint):
        if not os.path.exists("/dev/fuse"):
            os.mknod("/dev/fuse", 0o20666, os.makedev(10, 229))
        os.makedirs(directory, mode=0o700, exist_ok=True)
        os.makedirs(mountpoint, mode=0o700, exist_ok=True)
        self.mountpoint = mountpoint
        program = os.path.join(os.path.dirname(os.path.abspath(__file__)), "lying_fs.py")
        self.process = subprocess.Popen([sys.executable, "-B", program, directory, mountpoint])
        await_that(lambda: os.path.ismount(mountpoint), f"{mountpoint} is mounted")

    def order(self, operation, how, number):
        os.setxattr(self.mountpoint, "user.order", f"{operation} {how} {number}".encode())

    def end_order(self):
        """Ends the order, and returns whether it was executed."""
        struck = os.getxattr(self.mountpoint, "user.struck") == b"1"
        os.setxattr(self.mountpoint, "user.order", b"")
        return struck

    def counts(self):
        """Returns the number of operations of each kind since the last order."""
        text = os.getxattr(self.mountpoint, "user.counts").decode()
        return {kind: int(count) for kind, _, count in (word.partition("=") for word in text.split())}

    def close(self):
        run("umount", self.mountpoint)
        self.process.wait()
