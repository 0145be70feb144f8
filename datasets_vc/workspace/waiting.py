"""How much this process has had to do with the disk: what decides how many threads are worth it.

With what it reads in the page cache, a thread more than there are cores only quarrels with the
others about Python's lock; from a cold disk eight of them are several times as fast as two.
"""

from __future__ import annotations

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]


def blocks_read() -> int:
    """Blocks of 512 bytes that this process has had read from a disk; 0 where nobody counts."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_inblock if resource else 0


class Disk:
    """Whether some work waits for a disk, told by what this process has had read meanwhile."""

    _BLOCKS_AN_ITEM = 64

    def __init__(self) -> None:
        self.waits = False
        self._before = blocks_read()

    def look(self, items: int) -> bool:
        """Whether it does, now that so many items have been begun; it stays so then."""
        self.waits = self.waits or blocks_read() - self._before > self._BLOCKS_AN_ITEM * items
        return self.waits


def waits() -> int:
    """How often this thread has waited so far; the process, where threads are not counted."""
    if not resource:
        return 0
    whose = getattr(resource, "RUSAGE_THREAD", resource.RUSAGE_SELF)
    return resource.getrusage(whose).ru_nvcsw
