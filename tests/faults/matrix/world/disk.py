"""A small ext4 on a loop device: a disk of one's own to fill, to break, and to take the power from."""

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

# EXT4_IOC_SHUTDOWN, `_IOR('X', 125, __u32)`, and to do it without writing the log out (fs/ext4/ext4.h): from that
# moment nothing reaches the disk any more, and every call fails.
SHUTDOWN, WITHOUT_LOG = 0x8004587D, 2

# All machines of one kernel share them.
LOOPS = 32


def make_loop_devices():
    """The nodes; a container has none."""
    if not os.path.exists("/dev/loop-control"):
        os.mknod("/dev/loop-control", 0o20600, os.makedev(10, 237))
    for number in range(LOOPS):
        if not os.path.exists(f"/dev/loop{number}"):
            os.mknod(f"/dev/loop{number}", 0o60600, os.makedev(7, number))


class Disk:
    """A disk image in `home`, mounted on `mountpoint`. The image may lie on a file system that is smaller than it says."""

    def __init__(self, home, mountpoint):
        make_loop_devices()
        self.home, self.mountpoint = home, mountpoint
        os.makedirs(home, exist_ok=True)
        # Memory that can be made smaller later: a disk that promises more than it has.
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
        """What it holds now is what `make_again` makes."""
        self.unmount()
        copy_sparse(self.image, self.pristine)
        self.mount()

    def make_again(self):
        """As it was remembered."""
        self.unmount()
        run("mount", "-o", f"remount,size={4 * SIZE}", self.home)
        copy_sparse(self.pristine, self.image)
        self.mount()
        self.is_spoilt = False

    def check_and_mount(self):
        """As a machine does that comes up again."""
        self.unmount()
        mend(self.image)
        self.mount()

    def settle(self):
        """What was changed while nothing was tried is on the disk: a case begins with nothing to lose but its own."""
        run("sync", "--file-system", self.mountpoint)

    def fill(self, leaving):
        """Takes up the free space but for so many bytes."""
        free = os.statvfs(self.mountpoint)
        size = free.f_bavail * free.f_frsize - leaving
        with open(os.path.join(self.mountpoint, "ballast"), "wb") as file:
            # The file system needs some of it for its own tables: how much, it says by refusing.
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
        """Nothing new fits in what is below the image: writing fails where a disk would say that it is broken."""
        await_that(self.is_thin, "nothing was written between looking how much there is and allowing no more", error=OSError)
        self.is_spoilt = True

    def is_thin(self):
        used = os.stat(self.image).st_blocks * 512
        return subprocess.run(["mount", "-o", f"remount,size={used}", self.home], capture_output=True).returncode == 0

    def switch_off(self):
        """Nothing more reaches the disk."""
        directory = os.open(self.mountpoint, os.O_RDONLY)
        try:
            fcntl.ioctl(directory, SHUTDOWN, struct.pack("I", WITHOUT_LOG))
        finally:
            os.close(directory)

    def image_of_this_moment(self):
        """A copy of what has reached the disk. It counts only when nothing was written while it was copied."""
        copy = f"{self.home}.copy"
        while True:
            shutil.copyfile(self.image, copy)
            if filecmp.cmp(self.image, copy, shallow=False):
                return copy

    def close(self):
        self.unmount()
        run("umount", self.home)


def copy_sparse(image, copy):
    """A copy that takes up no room where there is nothing."""
    run("cp", "--sparse=always", image, copy)


def make_file_system(image):
    with open(image, "wb") as file:
        file.truncate(SIZE)
    # -m 0: nothing is kept back for root.
    run("mkfs.ext4", "-q", "-F", "-m", "0", image)


def mend(image):
    """e2fsck as at boot; 1 means that it has mended something."""
    done = subprocess.run(["e2fsck", "-f", "-y", image], capture_output=True, text=True)
    if done.returncode > 1:
        raise AssertionError(f"e2fsck of {image}: {done.returncode} {done.stdout}")


@contextlib.contextmanager
def mounted(image, mountpoint):
    """A copy of a disk, checked and mounted while the block runs."""
    mend(image)
    os.makedirs(mountpoint, exist_ok=True)
    run("mount", "-o", "loop", image, mountpoint)
    try:
        yield mountpoint
    finally:
        run("umount", mountpoint)
