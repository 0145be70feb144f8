"""Looking at what the chunks of a store mean: refs, commits, manifests, files, runs.

Each node is looked at once, whichever versions have it: level by level, together with what all the
nodes above say about it.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from datasets_vc.digest import Buffer, Digest
from datasets_vc.errors import DatasetError, IntegrityError
from datasets_vc.format.commit import decode_commit
from datasets_vc.format.json import TAG, form_of
from datasets_vc.format.location import RECIPE, digest_keys, digest_list, unique
from datasets_vc.format.node import MAX_LEVELS, Node, decode_node
from datasets_vc.format.run import check_run_input, decode_run_input
from datasets_vc.format.tag import decode_tag
from datasets_vc.history.claims import Said, problem_below, problem_with, said_by
from datasets_vc.history.holders import run_holder, run_ids
from datasets_vc.history.manifest import ChunkSource
from datasets_vc.history.meaning import Meaning
from datasets_vc.history.named import NAMED
from datasets_vc.history.reachable import Holder, digests_of
from datasets_vc.progress import SILENT, Progress
from datasets_vc.store import Store
from datasets_vc.store.index import ChunkIndex, Places
from datasets_vc.store.inspect import Inspection, Sample

_AT_ONCE = 256
_UNACCOUNTED = "No version has its file, and its pieces are not here: nobody can prove it."


def inspect_meaning(
    store: Store,
    source: ChunkSource,
    holders: Sequence[Holder],
    found: Inspection,
    *,
    complete: bool,
    sample: Sample | None = None,
    progress: Progress = SILENT,
) -> Meaning:
    """Look at all that holders need, as far as it is there; adds to what was found.

    Args:
        source: has the metadata of the store that is sound.
        found: what `inspect_objects` has found; what is bad is not looked at again.
        complete: the store has to have everything; else nodes and files may be missing.
    """
    looking = _Looking(store, source, found, complete)
    for holder in holders:
        looking.history(holder)
        looking.datasets.update(dict.fromkeys(holder.datasets))
    for run in run_ids(store):
        looking.run(run)
    looking.manifests()
    looking.run_datasets()
    looking.recipes(sample or Sample(), progress)
    looking.count_absent()
    return looking.meaning


class _Looking:
    def __init__(
        self, store: Store, source: ChunkSource, found: Inspection, complete: bool
    ) -> None:
        self._store = store
        self._source = source
        self._found = found
        self._complete = complete
        self.meaning = Meaning()
        self.datasets: dict[Digest, None] = {}
        self._of_runs: dict[Digest, list[tuple[str, str]]] = {}
        self._recipes: dict[Digest, None] = {}
        self._absent = bytearray()

    def count_absent(self) -> None:
        """Count what need not be here and is not, each chunk once."""
        self.meaning.absent = len(unique(digest_keys(self._absent)))
        self.meaning.cut = len(self._found.root.shallow)

    def history(self, holder: Holder) -> None:
        """A ref with all commits before it."""
        self._found.count("ref" if holder.kind in ("branch", "tag", "tracking") else holder.kind)
        todo: list[tuple[Digest, str, str]] = []
        for target in holder.commits:
            if self._index_has(target):
                todo.append((target, holder.kind, holder.name))
            elif target not in self._found.bad:
                self._found.find("ref", holder.name, f"It names {target.hex()}, which is missing.")
                self.meaning.missing.add(target)
        while todo:
            commit, kind, name = todo.pop()
            if commit in self.meaning.commits or commit in self._found.bad:
                continue
            for parent in self._commit(commit):
                if parent in self._found.root.shallow:
                    continue  # history is cut here: it counts as absent
                if self._index_has(parent):
                    todo.append((parent, kind, name))
                elif parent not in self._found.bad | self.meaning.missing:
                    self.meaning.missing.add(parent)
                    problem = f"Commit {commit.hex()} names it, and it is missing."
                    self._found.find("commit", parent, problem)

    def _commit(self, digest: Digest) -> tuple[Digest, ...]:
        """What comes before a commit or tag object."""
        data = self._read(digest, "commit")
        if data is None:
            return ()
        kind = "tag" if form_of(data) == TAG else "commit"
        try:
            if kind == "tag":
                self._found.count("tag")
                return (decode_tag(data, f"The tag object {digest.hex()}").object,)
            commit = decode_commit(data, f"The commit {digest.hex()}")
        except DatasetError as error:
            self._bad(kind, digest, error.message)
            return ()
        self._found.count("commit")
        self.meaning.commits[digest] = commit.dataset
        self.datasets[commit.dataset] = None
        return commit.parents

    def run(self, run: str) -> None:
        self._found.count("run")
        try:
            holder = run_holder(self._store, run)
        except DatasetError as error:
            self._found.find("run", run, error.message)
            return
        given, *checkpoints = holder.chunks
        if not self._index_has(given):
            self._found.find("run", run, f"Its input {given.hex()} is missing.")
            self.meaning.missing.add(given)
            return
        data = self._read(given, "run")
        if data is None:
            return
        try:
            members = decode_run_input(data, f"The input of run {run}")
            check_run_input(members, f"The input of run {run}")
        except DatasetError as error:
            self._lies(run, error)
            return
        self._files(checkpoints)
        for name in NAMED:
            digest = Digest(bytes.fromhex(members[name]))
            self._of_runs.setdefault(digest, []).append((run, name))

    def _lies(self, run: str, error: DatasetError) -> None:
        self._found.find("run", run, error.message)
        if isinstance(error, IntegrityError):
            self.meaning.lying.add(run)

    def run_datasets(self) -> None:
        """What runs name as datasets: where one is none the run is wrong, and not what it names."""
        for digest, named in self._of_runs.items():
            if digest in self.datasets or digest in self._found.bad:
                continue
            problem = problem_below(digest, self._bytes_of_nodes, self._wrong_sizes)
            for run, name in named if problem else ():
                said = f"It names {digest.hex()} as its {name}, which is no dataset: {problem}"
                self._lies(run, IntegrityError(said))

    def _bytes_of_nodes(self, digests: Sequence[Digest]) -> Iterator[tuple[Digest, Buffer | None]]:
        """Those of some chunks that are there and sound; None for what is stored as a recipe."""
        for start in range(0, len(digests), _AT_ONCE):
            here = self._present(digests[start : start + _AT_ONCE], "node")
            codecs = self._found.index.locate(here).rows["codec"].tolist() if here else []
            files = {each for each, codec in zip(here, codecs, strict=True) if codec == RECIPE}
            nodes = [each for each in here if each not in files]
            yield from ((each, None) for each in files)
            for digest, data in zip(nodes, self._read_many(nodes) if nodes else (), strict=True):
                if data is not None:
                    yield digest, data

    def manifests(self) -> None:
        """All nodes of all datasets, from the top level down."""
        levels: list[dict[Digest, set[Said | None]]] = [{} for _ in range(MAX_LEVELS + 1)]
        for digest, node in self._nodes(list(self.datasets)):
            levels[node.level][digest] = {None}
        for level in reversed(range(MAX_LEVELS)):
            names = list(levels[level])
            for digest, node in self._nodes(names):
                for child, claim in self._look_at(digest, node, level, levels[level][digest]):
                    levels[level - 1].setdefault(child, set()).add(claim)
            levels[level] = {}

    def _look_at(
        self, digest: Digest, node: Node, level: int, said: set[Said | None]
    ) -> list[tuple[Digest, Said]]:
        """Look at a node; returns what it says of those below it."""
        self._found.count("node")
        problem = problem_with(node, level, said)
        if problem:
            self._found.find("node", digest, problem)
        if node.level != level:
            return []
        if not level:
            self._look_at_files(digest, node)
            return []
        return said_by(node, said)

    def _look_at_files(self, digest: Digest, node: Node) -> None:
        """Make sure that the files of a leaf are there, and as long as their entries say."""
        for path in self._wrong_sizes(node):
            self._found.find("node", digest, f"{path!a} is not as long as its entry says.")

    def _wrong_sizes(self, node: Node) -> list[str]:
        """Make sure that the files of a leaf are there; returns those of another size than said."""
        files = digest_list(digests_of(node.rows))
        places = self._files(files)
        whole = places.found & (places.rows["codec"] != RECIPE)
        sizes = node.rows.column("size").to_numpy()
        return [
            node.rows.column("path")[row].as_py()
            for row in np.flatnonzero(whole & (places.rows["raw"] != sizes)).tolist()
            if files[row] not in self._found.bad
        ]

    def _files(self, files: Sequence[Digest]) -> Places:
        """Make sure that files are there; those in pieces are to be looked at later."""
        self._found.count("file", len(files))
        self._present(files, "file")
        places = self._found.index.locate(files)
        for row in np.flatnonzero(places.found & (places.rows["codec"] == RECIPE)).tolist():
            self._recipes[files[row]] = None
        return places

    def recipes(self, sample: Sample, progress: Progress) -> None:
        """Files that are stored in pieces; they, or a sample of them, are put together."""
        recipes = sorted(self._recipes.keys() - self._found.bad)
        others = sorted(_listed_recipes(self._found.index) - self._recipes.keys() - self._found.bad)
        random.Random(sample.seed).shuffle(recipes)
        progress.begin("Putting files together", len(recipes) + len(others), "files")
        for number, file in enumerate(recipes):
            self._recipe(file, whole=sample.whole or number <= sample.fraction * len(recipes))
            progress.advance(1)
        for file in others:
            self._unaccounted(file)
            progress.advance(1)
        progress.end()

    def _recipe(self, file: Digest, *, whole: bool) -> None:
        pieces = self._pieces(file)
        if not pieces:
            return
        self._found.count("recipe")
        here = self._present(pieces, "piece")
        if not whole or len(here) < len(set(pieces)) or self._found.bad.intersection(pieces):
            return
        self._put_together(file)

    def _unaccounted(self, file: Digest) -> None:
        """A recipe that no version and no run needs, as far as is known.

        What is left of a version that was deleted makes its file. What does not was never proved:
        it came from a store that lies, or its pieces were dropped.
        """
        pieces = self._pieces(file)
        if not pieces:
            return
        self._found.count("recipe")
        if self._found.index.contains(pieces).all():
            if not self._found.bad.intersection(pieces):
                self._put_together(file)
        elif not (self._complete or self.meaning.absent or self.meaning.missing):
            self._bad("recipe", file, _UNACCOUNTED)

    def _pieces(self, file: Digest) -> Sequence[Digest]:
        """What a recipe names; nothing if it cannot be read."""
        try:
            (recipe,) = self._source.read_recipes([file])
        except DatasetError as error:
            self._bad("recipe", file, error.message)
            return ()
        return recipe.digests

    def _put_together(self, file: Digest) -> None:
        try:
            if self._source is self._store:
                for _ in self._store.iter_file(file):
                    pass
            else:
                self._store.read_file(file)  # in few requests
        except IntegrityError as error:
            self._bad("recipe", file, error.message)

    def _present(self, digests: Iterable[Digest], what: str) -> list[Digest]:
        """Those of some chunks that are there and sound; of the others the missing are noted."""
        asked = list(dict.fromkeys(digests))
        known = self._found.index.contains(asked).tolist() if asked else []
        here = [each for each, there in zip(asked, known, strict=True) if there]
        for each in (each for each, there in zip(asked, known, strict=True) if not there):
            if not self._complete:
                self._absent += each
            elif each not in self.meaning.missing | self._found.bad:
                self.meaning.missing.add(each)
                kind = "node" if what == "node" else "chunk"
                self._found.find(kind, each, f"It is missing: a {what} that a version needs.")
        return [each for each in here if each not in self._found.bad]

    def _nodes(self, digests: Sequence[Digest]) -> Iterator[tuple[Digest, Node]]:
        """Those of some nodes that are there and sound."""
        for start in range(0, len(digests), _AT_ONCE):
            here = self._present(digests[start : start + _AT_ONCE], "node")
            for digest, data in zip(here, self._read_many(here), strict=True):
                if data is None:
                    continue
                try:
                    yield digest, decode_node(data, f"The node {digest.hex()}")
                except DatasetError as error:
                    self._bad("node", digest, error.message)

    def _read_many(self, digests: Sequence[Digest]) -> Sequence[Buffer | None]:
        try:
            return self._source.read_many(digests)
        except DatasetError:
            return [self._read(digest, "node") for digest in digests]

    def _read(self, digest: Digest, kind: str) -> Buffer | None:
        if digest in self._found.bad:
            return None
        try:
            return self._source.read_many([digest])[0]
        except DatasetError as error:
            self._bad(kind, digest, error.message)
            return None

    def _bad(self, kind: str, digest: Digest, problem: str) -> None:
        if digest not in self._found.bad:
            self._found.find(kind, digest, problem)
            self._found.bad.add(digest)

    def _index_has(self, digest: Digest) -> bool:
        return self._found.index.find(digest) is not None


def _listed_recipes(index: ChunkIndex) -> set[Digest]:
    return {
        file
        for table in index.tables
        for file in digest_list(table.digests[table.locations["codec"] == RECIPE])
    }
