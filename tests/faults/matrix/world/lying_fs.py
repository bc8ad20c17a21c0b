"""A file system (FUSE) that shows a directory, and fails or lies once: at the n-th operation of a kind.

usage: lying_fs.py DIRECTORY MOUNTPOINT

Extended attributes of its root control it: `user.order` is "OPERATION HOW N", or empty for none; `user.struck` says whether the
order was executed; `user.counts` has the number of operations of each kind since the order.
"""

import collections
import errno
import os
import sys

import fusepy as fuse

# The flipped bit of the middle byte.
FLIPPED_BIT = 0x10


class LyingFileSystem(fuse.Operations):
    """Passes every operation to the same path below `directory`, except the ordered one."""

    def __init__(self, directory):
        self.directory = directory
        self.take_order("")

    def __call__(self, operation, path, *arguments):
        return getattr(self, operation)(self.directory + path, *arguments)

    def take_order(self, order):
        self.counts, self.struck = collections.Counter(), False
        self.order = order.split() if order else None

    def is_its_turn(self, operation):
        """Counts an operation; returns how it must fail, if it must."""
        self.counts[operation] += 1
        if not self.order or self.order[0] != operation or self.counts[operation] != int(self.order[2]):
            return None
        self.struck = True
        how = self.order[1]
        if hasattr(errno, how):
            raise fuse.FuseOSError(getattr(errno, how))
        return how

    # ---- Orders

    def setxattr(self, path, name, value, options, position=0):
        if name != "user.order":
            raise fuse.FuseOSError(errno.ENOTSUP)
        self.take_order(value.decode())
        return 0

    def getxattr(self, path, name, position=0):
        answers = {"user.struck": str(int(self.struck)), "user.counts": " ".join(f"{k}={n}" for k, n in self.counts.items())}
        if name not in answers:
            raise fuse.FuseOSError(errno.ENODATA)
        return answers[name].encode()

    # ---- Contents

    def read(self, path, size, offset, handle):
        how = self.is_its_turn("read")
        content = os.pread(handle, size, offset)
        return flipped(content) if how == "flipped" and content else content

    def write(self, path, content, offset, handle):
        how = self.is_its_turn("write")
        if how == "lost":
            # Like a disk that reports a write but has lost it: the file has its size, but not its bytes.
            os.pwrite(handle, bytes(len(content)), offset)
            return len(content)
        if how == "short":
            content = content[:max(1, len(content) // 2)]
        return os.pwrite(handle, flipped(content) if how == "flipped" else content, offset)

    def fsync(self, path, data_only, handle):
        self.is_its_turn("fsync")
        return os.fsync(handle)

    def fsyncdir(self, path, data_only, handle):
        self.is_its_turn("fsyncdir")
        directory = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            return os.fsync(directory)
        finally:
            os.close(directory)

    # ---- Names

    def create(self, path, mode, info=None):
        self.is_its_turn("create")
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, mode)

    def open(self, path, flags):
        self.is_its_turn("open")
        return os.open(path, flags & ~os.O_APPEND)

    def rename(self, old, new):
        self.is_its_turn("rename")
        return os.rename(old, self.directory + new)

    def mkdir(self, path, mode):
        self.is_its_turn("mkdir")
        return os.mkdir(path, mode)

    def unlink(self, path):
        self.is_its_turn("unlink")
        return os.unlink(path)

    def rmdir(self, path):
        self.is_its_turn("rmdir")
        return os.rmdir(path)

    def readdir(self, path, handle):
        self.is_its_turn("readdir")
        return [".", "..", *os.listdir(path)]

    def getattr(self, path, handle=None):
        found = os.lstat(path)
        return {name: getattr(found, name) for name in dir(found) if name.startswith("st_") and not name.endswith("_ns")}

    # ---- Operations that never fail

    def truncate(self, path, length, handle=None):
        return os.truncate(path, length)

    def chmod(self, path, mode):
        return os.chmod(path, mode)

    def chown(self, path, owner, group):
        return os.chown(path, owner, group, follow_symlinks=False)

    def utimens(self, path, times=None):
        return os.utime(path, times)

    def release(self, path, handle):
        return os.close(handle)

    def flush(self, path, handle):
        return 0

    def statfs(self, path):
        found = os.statvfs(path)
        return {name: getattr(found, name) for name in ("f_bavail", "f_bfree", "f_blocks", "f_bsize", "f_favail", "f_ffree", "f_files",
                                                        "f_frsize", "f_namemax")}


def flipped(content):
    """Returns the content with one bit in the middle flipped."""
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ FLIPPED_BIT]) + content[middle + 1:]


if __name__ == "__main__":
    # Single-threaded, so that the n-th is well defined; without the kernel's cache, so that every read arrives.
    fuse.FUSE(LyingFileSystem(sys.argv[1]), sys.argv[2], foreground=True, nothreads=True, direct_io=True, attr_timeout=0, entry_timeout=0)
