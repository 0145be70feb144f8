"""When it pays to merge what is small."""

from __future__ import annotations

from collections.abc import Sequence


def ready(sizes: Sequence[int], factor: int, limit: int | None = None) -> int:
    """How many of some sizes, the smallest first, to merge: 0 if it does not pay yet.

    The most that together are at least `factor` times as large as the largest of them, as the runs
    of a log-structured merge tree are merged (O'Neil et al., 1996). So n things of one size, come
    one by one, leave at most (factor - 1) * log(n), and none is merged more often than log(n)
    times; logarithms to the base `factor`.

    Args:
        sizes: in ascending order.
        limit: of the sum.
    """
    count = total = 0
    for number, size in enumerate(sizes, 1):
        total += size
        if limit is not None and total > limit:
            break
        if total >= factor * size:
            count = number
    return count
