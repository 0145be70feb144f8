"""What was found out about a store by looking at what its objects mean."""

from __future__ import annotations

from dataclasses import dataclass, field

from datasets_vc.digest import Digest


@dataclass
class Meaning:
    """What was found out on the way.

    Attributes:
        commits: the dataset of each.
        missing: what is needed and not listed.
        absent: how many other chunks are needed and not listed, which is no damage, since the store
            is partial.
        cut: how many commits are not here since history is cut before them.
        lying: runs that name what is not what they say it is, though nothing is damaged.
    """

    commits: dict[Digest, Digest] = field(default_factory=dict)
    missing: set[Digest] = field(default_factory=set)
    absent: int = 0
    cut: int = 0
    lying: set[str] = field(default_factory=set)
