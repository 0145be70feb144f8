"""What crashed writers have left in a store, beside chunks: no root knows of it."""

from __future__ import annotations

from contextlib import suppress

from datasets_vc.errors import DatasetError
from datasets_vc.store.collect import Age, Gone
from datasets_vc.store.names import DAMAGED, PACKS, PROBE
from datasets_vc.store.store import Store

_PROBE_GRACE = 3600
"""Seconds that the probe of a process at work is left alone, whatever the grace period is."""


def delete_leftovers(store: Store, age: Age, *, dry_run: bool = False) -> list[Gone]:
    """Delete what crashed writers have left: temporary files, probes, marks of gone packs."""
    backend = store.backend
    gone = [
        Gone(info.name, info.size, "left by a writer that was cut short")
        for info in backend.leftovers("")
        if age.grace <= 0 or age.now - info.modified >= age.grace
    ]
    packs = list(backend.list(PACKS))
    gone += [
        Gone(info.name, info.size, "left by a probe that was cut short")
        for info in packs
        if info.name.endswith(PROBE) and age.now - info.modified >= max(age.grace, _PROBE_GRACE)
    ]
    names = {info.name for info in packs}
    gone += [
        Gone(name, 0, "marks a pack that is gone")
        for name in sorted(names)
        if name.endswith(DAMAGED) and name.removesuffix(DAMAGED) not in names
    ]
    if not dry_run:
        for each in gone:
            with suppress(DatasetError):
                backend.delete(each.name)
    return gone
