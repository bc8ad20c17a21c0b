"""A small ext4 on a loop device: a disk to fill, to break, and to cut the power of."""

import contextlib
import errno
import fcntl
import filecmp
import os
import shutil
import struct
import subprocess

from world.machine import await_that, run

SIZE = 24 << 20

# EXT4_IOC_SHUTDOWN, `_IOR('X', 125, __u32)`, and the flag not to write the log (fs/ext4/ext4.h): from then on nothing reaches the
# disk, and every call fails.
SHUTDOWN, WITHOUT_LOG = 0x8004587D, 2

# All containers of one kernel share them.
LOOPS = 32


def make_loop_devices():
    """Creates the device nodes, because a container has none."""
    if not os.path.exists("/dev/loop-control"):
        os.mknod("/dev/loop-control", 0o20600, os.makedev(10, 237))
    for number in range(LOOPS):
        if not os.path.exists(f"/dev/loop{number}"):
            os.mknod(f"/dev/loop{number}", 0o60600, os.makedev(7, number))


class Disk:
    """A disk image in `home`, mounted on `mountpoint`. The file system below the image may be smaller than the image."""

    def __init__(self, home, mountpoint):
        make_loop_devices()
        self.home, self.mountpoint = home, mountpoint
        os.makedirs(home, exist_ok=True)
        # A tmpfs can shrink later, like a disk that promises more than it has.
        run("mount", "-t", "tmpfs", "-o", f"size={4 * SIZE}", "tmpfs", home)
        self.image, self.pristine = os.path.join(home, "image"), f"{home}.pristine"
        self.is_spoilt = False
        make_file_system(self.image)

    def mount(self, options="loop"):
        run("mount", "-o", options, self.image, self.mountpoint)

    def unmount(self):
        with contextlib.suppress(AssertionError):
            run("umount", self.mountpoint)

    def remember(self):
        """Saves the content for `make_again`."""
        self.unmount()
        copy_sparse(self.image, self.pristine)
        self.mount()

    def make_again(self):
        """Restores the saved content."""
        self.unmount()
        run("mount", "-o", f"remount,size={4 * SIZE}", self.home)
        copy_sparse(self.pristine, self.image)
        self.mount()
        self.is_spoilt = False

    def check_and_mount(self):
        """Checks and mounts the disk as at boot."""
        self.unmount()
        mend(self.image)
        self.mount()

    def settle(self):
        """Syncs earlier changes, so that a case can only lose its own."""
        run("sync", "--file-system", self.mountpoint)

    def fill(self, leaving):
        """Fills the disk, and leaves so many bytes free."""
        free = os.statvfs(self.mountpoint)
        size = free.f_bavail * free.f_frsize - leaving
        with open(os.path.join(self.mountpoint, "ballast"), "wb") as file:
            # The file system needs some of it for its own tables: try until it refuses.
            while True:
                try:
                    return os.posix_fallocate(file.fileno(), 0, max(1, size))
                except OSError as error:
                    if error.errno != errno.ENOSPC:
                        raise
                    size -= 16 << 10

    def empty(self):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(os.path.join(self.mountpoint, "ballast"))

    def make_thin(self):
        """Leaves no room below the image, so that writes fail as on a broken disk."""
        await_that(self.is_thin, "nothing was written between measuring the space and limiting it", error=OSError)
        self.is_spoilt = True

    def is_thin(self):
        used = os.stat(self.image).st_blocks * 512
        return subprocess.run(["mount", "-o", f"remount,size={used}", self.home], capture_output=True).returncode == 0

    def switch_off(self):
        """Lets nothing more reach the disk."""
        directory = os.open(self.mountpoint, os.O_RDONLY)
        try:
            fcntl.ioctl(directory, SHUTDOWN, struct.pack("I", WITHOUT_LOG))
        finally:
            os.close(directory)

    def image_of_this_moment(self):
        """Returns a copy of what has reached the disk. Copies again if anything was written meanwhile."""
        copy = f"{self.home}.copy"
        while True:
            shutil.copyfile(self.image, copy)
            if filecmp.cmp(self.image, copy, shallow=False):
                return copy

    def close(self):
        self.unmount()
        run("umount", self.home)


def copy_sparse(image, copy):
    """Makes a sparse copy."""
    run("cp", "--sparse=always", image, copy)


def make_file_system(image):
    with open(image, "wb") as file:
        file.truncate(SIZE)
    # -m 0: reserves nothing for root.
    run("mkfs.ext4", "-q", "-F", "-m", "0", image)


def mend(image):
    """Runs e2fsck as at boot; exit code 1 means that it has repaired something."""
    done = subprocess.run(["e2fsck", "-f", "-y", image], capture_output=True, text=True)
    if done.returncode > 1:
        raise AssertionError(f"e2fsck of {image}: {done.returncode} {done.stdout}")


@contextlib.contextmanager
def mounted(image, mountpoint):
    """Checks a copy of a disk, and mounts it while the block runs."""
    mend(image)
    os.makedirs(mountpoint, exist_ok=True)
    run("mount", "-o", "loop", image, mountpoint)
    try:
        yield mountpoint
    finally:
        run("umount", mountpoint)
