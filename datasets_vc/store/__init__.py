"""Content-addressed storage: chunks under their digests, in packs, found by an index."""

from datasets_vc.store.store import Store
from datasets_vc.store.writer import ChunkWriter, Written

__all__ = ["ChunkWriter", "Store", "Written"]
