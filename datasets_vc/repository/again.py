"""Doing once more what a collection has come between."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from datasets_vc.store import Store
from datasets_vc.store.counted import CollectedError

_ATTEMPTS = 4

Result = TypeVar("Result")


def once_more(store: Store, act: Callable[[bytes], Result]) -> Result:
    """Do something that writes to a store; again from the beginning if it lost to a collection.

    Args:
        act: is given digests, end to end, that its writer has to make sure of: what was counted on
            before and is gone has to be written now, for a version needs it.

    Raises:
        CollectedError: something is gone that cannot be written again, or collections went on.
    """
    needed = b""
    for _ in range(_ATTEMPTS - 1):
        try:
            return act(needed)
        except CollectedError as error:
            needed += error.lost
            store.refresh()
    return act(needed)
