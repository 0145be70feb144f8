"""Blocks that two files share, on file systems that can (XFS, Btrfs): Linux's FICLONERANGE.

See https://man7.org/linux/man-pages/man2/ioctl_ficlonerange.2.html. Who writes to one of the files
gets new blocks: the other one keeps its bytes.
"""

from __future__ import annotations

import struct

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

BLOCK = 4096

_FICLONERANGE = 0x4020940D
_RANGE = struct.Struct("=qQQQ")


def clone_range(source: int, position: int, target: int, offset: int, length: int) -> bool:
    """Let a range of `target` be what a range of `source` is now; whether that was possible.

    Args:
        source: a descriptor, open for reading.
        position: where in it, a multiple of BLOCK like `offset` and `length`.
        target: a descriptor, open for writing.
        offset: where in that.
        length: bytes.
    """
    if not fcntl:
        return False
    try:
        fcntl.ioctl(target, _FICLONERANGE, _RANGE.pack(source, position, length, offset))
    except OSError:
        return False
    return True
