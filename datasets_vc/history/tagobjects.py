"""Tag objects: what annotated tags name, and the commits behind them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from datasets_vc.digest import Digest
from datasets_vc.format.json import TAG, form_of
from datasets_vc.format.tag import Tag, decode_tag
from datasets_vc.store import Store


def read_tag(store: Store, digest: Digest) -> Tag:
    """One tag object of a store."""
    return decode_tag(store.read(digest), f"The tag object {digest.hex()}")


def tag_objects(store: Store, targets: Iterable[Digest]) -> dict[Digest, Tag]:
    """Those of some commits and tag objects that are tag objects, all read at once.

    What the store does not have is left out: the root of a partial store may name it all the same.
    """
    unique = list(dict.fromkeys(targets))
    if not store.index.contains(unique).all():
        # Another process may have brought it since the index was read.
        store.refresh()
    here = store.index.contains(unique).tolist()
    held = [target for target, found in zip(unique, here, strict=True) if found]
    return {
        target: decode_tag(data, f"The tag object {target.hex()}")
        for target, data in zip(held, store.read_many(held), strict=True)
        if form_of(data) == TAG
    }


def peeled(store: Store, tags: Mapping[str, Digest]) -> dict[str, Digest]:
    """The commits that tags name, whether annotated or not."""
    objects = tag_objects(store, tags.values())
    return {
        name: objects[digest].object if digest in objects else digest
        for name, digest in tags.items()
    }
