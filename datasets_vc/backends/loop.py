"""Requests of asynchronous client libraries, waited for."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, TypeVar

Result = TypeVar("Result")


def wait_for(loop: Any, request: Coroutine[Any, Any, Result]) -> Result:
    """The result of a request that runs on the event loop of another thread.

    An interrupted wait ends the request too.
    """
    # Takes 20 ms to import, and verbs that reach no remote have no use for it.
    import asyncio

    future = asyncio.run_coroutine_threadsafe(request, loop)
    try:
        return future.result()
    except BaseException:
        future.cancel()
        raise
