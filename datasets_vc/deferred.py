"""Modules that are loaded when something of them is asked for.

A verb of the command line needs few of the rooms, and loading all of them takes longer than a
status. A facade names them all the same; type checkers, and the check of the layers, see

    if TYPE_CHECKING:
        from datasets_vc.repository import exchange
    else:
        exchange = Deferred("datasets_vc.repository.exchange")
"""

from __future__ import annotations

from importlib import import_module
from typing import Any


class Deferred:
    """Stands for the module `name`, and has what that has."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, name: str) -> Any:
        return getattr(import_module(self._name), name)
