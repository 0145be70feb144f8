"""Commits called by the nearest tag before them: `v1.0-3-g1a2b3c4d`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from datasets_vc.digest import MIN_PREFIX, Digest
from datasets_vc.format.commit import Commit, encode_time
from datasets_vc.format.tag import Tag
from datasets_vc.history.commits import walk
from datasets_vc.history.cut import CutHistoryError, parents_here
from datasets_vc.store import Store


@dataclass(frozen=True, slots=True)
class Description:
    """A commit, the tag nearest before it, and how many commits lie after that tag.

    `tag` is empty where there is none; the distance then counts all commits up to this one.
    """

    commit: Digest
    tag: str
    distance: int

    def __str__(self) -> str:
        short = self.commit.hex()[:MIN_PREFIX]
        if not self.tag:
            return short
        return f"{self.tag}-{self.distance}-g{short}" if self.distance else self.tag


def describe(
    store: Store, commit: Digest, tags: Mapping[str, Digest], annotations: Mapping[str, Tag]
) -> Description:
    """Describe a commit as `git describe --tags` does.

    The nearest tag is the one with the fewest commits that `commit` reaches and it does not; of
    equals the newest. A commit with several tags goes by an annotated one, the latest made.

    Args:
        tags: the commits that tags name.
        annotations: what the annotated ones say.

    Raises:
        CutHistoryError: a tag beyond where history is cut, or a way over there, could be nearer.
    """
    names = _best_names(tags, annotations)
    candidates: list[str] = []
    distances: list[int] = []
    waiting: dict[Digest, int] = {commit: 0}  # not met yet: which candidates reach it, as bits
    met: list[tuple[Digest, Commit]] = []
    for digest, found in walk(store, [commit]):
        reached = waiting.pop(digest)
        for number in range(len(candidates)):
            distances[number] += not reached >> number & 1
        if digest in names and not reached:
            reached = 1 << len(candidates)
            candidates.append(names[digest])
            distances.append(len(met))
        met.append((digest, found))
        for parent in found.parents:
            waiting[parent] = waiting.get(parent, 0) | reached
        if not candidates:
            continue
        best = distances.index(min(distances))
        # What is still waiting adds nothing to the best one, and others do not come nearer.
        if all(bits >> best & 1 for bits in waiting.values()):
            if len(candidates) == 1 and _all_after(tags[candidates[0]], met, distances[0]):
                return Description(commit, candidates[0], distances[0])
            if _is_cut(store, commit):
                break
            return Description(commit, candidates[best], distances[best])
    if waiting or _is_cut(store, commit):
        raise CutHistoryError(
            f"Which tag comes before commit {commit.hex()[:MIN_PREFIX]} cannot be known here: the "
            "history of this store is cut."
        )
    return Description(commit, "", len(met))


def _all_after(tagged: Digest, met: Sequence[tuple[Digest, Commit]], distance: int) -> bool:
    """Whether all that is counted comes after the tag, and so is counted whatever is not here."""
    after = {tagged}
    for digest, commit in reversed(met):
        if not after.isdisjoint(commit.parents):
            after.add(digest)
    return len(after) - 1 == distance


def _is_cut(store: Store, tip: Digest) -> bool:
    """Whether not all that comes before a commit is here."""
    return bool(store.shallow) and any(
        parents_here(store, commit) != commit.parents for _, commit in walk(store, [tip])
    )


def _best_names(tags: Mapping[str, Digest], annotations: Mapping[str, Tag]) -> dict[Digest, str]:
    def rank(name: str) -> str:
        return encode_time(annotations[name].time) if name in annotations else ""

    best: dict[Digest, str] = {}
    for name, commit in sorted(tags.items()):
        if commit not in best or rank(name) > rank(best[commit]):
            best[commit] = name
    return best
