"""Requests of asynchronous client libraries, waited for."""

from __future__ import annotations

from collections.abc import Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar

Result = TypeVar("Result")


def wait_for(loop: Any, request: Coroutine[Any, Any, Result]) -> Result:
    """The result of a request that runs on the event loop of another thread.

    An interrupted wait ends the request too.
    """
    return result_of(begin(loop, request))


def begin(loop: Any, request: Coroutine[Any, Any, Result]) -> Future[Result]:
    """Let a request run on the event loop of another thread; see `result_of`."""
    # Takes 20 ms to import, and verbs that reach no remote have no use for it.
    import asyncio

    return asyncio.run_coroutine_threadsafe(request, loop)


def result_of(future: Future[Result]) -> Result:
    """The result of a request that runs; an interrupted wait ends it."""
    try:
        return future.result()
    except BaseException:
        future.cancel()
        raise
