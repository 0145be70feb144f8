from __future__ import annotations

import pickle
from collections.abc import Callable

import pytest
import torch

from datasets_vc import Snapshot
from datasets_vc.digest import digest_of
from datasets_vc.errors import BadSampleError
from loaders import SampleDataset, TextDataset, Vocabulary
from loaders.batch import Skipped
from loaders.rows import RowFiles

MakeSnapshot = Callable[..., Snapshot]

JSONL = '{"text":"Hello, world","label":"a","n":1}\n{"text":"grüß\\ndich","label":"b"}\n'.encode()
CSV = '\ufefflabel,text\r\nb,"one, ""two"""\r\na,three\r\n'.encode()


def test_texts_from_everywhere(make_snapshot: MakeSnapshot) -> None:
    files = {"t/a/1.txt": "\ufeffå\r\n".encode(), "t/b/2.jsonl": JSONL, "t/c/3.csv": CSV}
    dataset = TextDataset(make_snapshot(files))
    assert [(sample["path"], sample["text"], sample["label"]) for sample in dataset] == [
        ("t/a/1.txt", "å\r\n", 0),
        ("t/b/2.jsonl:1", "Hello, world", 0),
        ("t/b/2.jsonl:2", "grüß\ndich", 1),
        ("t/c/3.csv:1", 'one, "two"', 1),
        ("t/c/3.csv:2", "three", 0),
    ]
    assert dataset[1]["n"] == 1
    assert dataset[0]["n"] is None
    assert "tokens" not in dataset[0]
    assert list(dataset.texts(batch_size=2)) == [sample["text"] for sample in dataset]
    ids = dataset.sample_ids([2, 0])
    assert ids == [
        ("t/b/2.jsonl:2", digest_of(JSONL)),
        ("t/a/1.txt", digest_of(files["t/a/1.txt"])),
    ]


def test_rows_as_they_are(make_snapshot: MakeSnapshot) -> None:
    dataset = SampleDataset(make_snapshot({"a.csv": CSV}))
    assert [sample["data"] for sample in dataset] == [b'b,"one, ""two"""', b"a,three"]


def test_tokens(make_snapshot: MakeSnapshot) -> None:
    snapshot = make_snapshot({"a.txt": b"b a a", "b.txt": b"..."})
    vocabulary = Vocabulary.build(TextDataset(snapshot).texts(), 4)
    dataset = TextDataset(snapshot, vocabulary=vocabulary)
    assert vocabulary.tokens == ("<pad>", "<unk>", ".", "a")
    assert dataset[0]["tokens"].tolist() == [1, 3, 3]
    assert dataset[0]["tokens"].dtype == torch.int64
    assert pickle.loads(pickle.dumps(dataset))[1]["tokens"].tolist() == [2, 2, 2]


def test_bad_texts_are_named_or_skipped(make_snapshot: MakeSnapshot) -> None:
    snapshot = make_snapshot({"a.txt": b"\xff", "b.jsonl": b'{"text":"x"}\n{"n":1}\n'})
    dataset = TextDataset(snapshot)
    with pytest.raises(BadSampleError, match=r"^'a.txt' of dataset .* cannot be decoded: .*utf-8"):
        dataset[0]
    with pytest.raises(BadSampleError, match=r"^'b.jsonl:2' of dataset .*: it has no text"):
        dataset[2]
    skipping = TextDataset(snapshot, on_bad_sample="skip")
    bad, good, other = skipping.__getitems__([0, 1, 2])
    assert isinstance(bad, Skipped)
    assert isinstance(other, Skipped)
    assert good["text"] == "x"


def test_files_of_rows_are_read_once_and_kept_within_bounds(make_snapshot: MakeSnapshot) -> None:
    files = {f"{name}.jsonl": b'{"text":"%s"}\n' % (name.encode() * 50) for name in "abc"}
    snapshot = make_snapshot(files)
    digests = {digest_of(data): path for path, data in files.items()}
    reads: list[bytes] = []

    class Counting(Snapshot):
        def read_many(self, wanted):  # type: ignore[no-untyped-def]
            reads.extend(wanted)
            return super().read_many(wanted)

    one, two, three = digests
    cache = RowFiles(Counting(snapshot.url, snapshot.digest), limit=150)
    for wanted in ([one], [two], [one], [three], [one], [two]):
        found = cache.read({digest: digests[digest] for digest in wanted})
        assert bytes(found[wanted[0]]) == files[digests[wanted[0]]]
    assert reads == [one, two, three, two]
    everything = cache.read(digests)
    assert [bytes(everything[digest]) for digest in digests] == list(files.values())
