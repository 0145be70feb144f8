from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch.utils import data as torch_data

from datasets_vc import Snapshot
from datasets_vc.digest import Hasher
from datasets_vc.errors import BadSampleError, IntegrityError, InvalidInputError
from loaders import DataLoader, ImageDataset, SampleDataset, TextDataset, Vocabulary
from loaders.order import Order

Encode = Callable[..., bytes]
MakeSnapshot = Callable[..., Snapshot]
Pixels = NDArray[np.uint8]

# Python 3.12 and later warn of forks that torch makes by default.
pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")

SAMPLES = 23


@pytest.fixture
def images(make_snapshot: MakeSnapshot, image_file: Encode) -> ImageDataset:
    """23 images with three labels."""
    files = {
        f"d/{number % 3}/{number:02}.png": image_file(np.full((4, 4), 10 * number, np.uint8))
        for number in range(SAMPLES)
    }
    return ImageDataset(make_snapshot(files), mode="L")


@pytest.fixture
def augmented(images: ImageDataset, transforms: ModuleType) -> ImageDataset:
    """The same, with noise."""
    return ImageDataset(images.snapshot, mode="L", transform=transforms.add_noise)


def epochs(loader: DataLoader, count: int) -> list[list[list[str]]]:
    """The paths in each batch of the next epochs."""
    return [[batch["path"] for batch in loader] for _ in range(count)]


def joined(parts: Iterable[list[str]]) -> list[str]:
    return list(chain.from_iterable(parts))


def assert_same(batches: list[dict[str, Any]], others: list[dict[str, Any]]) -> None:
    assert len(batches) == len(others)
    for batch, other in zip(batches, others, strict=True):
        assert batch["path"] == other["path"]
        assert torch.equal(batch["image"], other["image"])
        assert torch.equal(batch["draw"], other["draw"])


def test_an_epoch_has_every_sample_once(images: ImageDataset) -> None:
    loader = DataLoader(images, 5)
    assert len(loader) == 5
    first, second = epochs(loader, 2)
    for epoch in (first, second):
        assert [len(batch) for batch in epoch] == [5, 5, 5, 5, 3]
        assert sorted(joined(epoch)) == sorted(sample["path"] for sample in images)
    assert first != second
    assert epochs(DataLoader(images, 5), 1) == [first]
    assert epochs(DataLoader(images, 5, seed=1), 1) != [first]


def test_the_order_is_the_plan(images: ImageDataset) -> None:
    loader = DataLoader(images, 5, seed=9)
    names = [sample["path"] for sample in images]
    for epoch, batches in enumerate(epochs(loader, 2)):
        for step, batch in enumerate(batches):
            assert batch == [names[index] for index in loader.plan.batch(epoch, step)]
            index = names.index(batch[0])
            assert loader.plan.where(index, epoch) == (step, 0)


def test_without_shuffling_the_order_is_that_of_the_samples(images: ImageDataset) -> None:
    for batches in epochs(DataLoader(images, 7, shuffle=False), 2):
        assert joined(batches) == [sample["path"] for sample in images]


def test_the_last_batch_can_be_dropped(images: ImageDataset) -> None:
    (batches,) = epochs(DataLoader(images, 5, drop_last=True), 1)
    assert [len(batch) for batch in batches] == [5, 5, 5, 5]


@pytest.mark.parametrize("world_size", [1, 2, 3])
def test_ranks_together_make_the_same_batches(images: ImageDataset, world_size: int) -> None:
    alone = epochs(DataLoader(images, 5), 2)
    ranks = [
        epochs(DataLoader(images, 5, rank=rank, world_size=world_size), 2)
        for rank in range(world_size)
    ]
    together = [
        [joined(parts) for parts in zip(*shares, strict=True)]
        for shares in zip(*ranks, strict=True)
    ]
    assert together == alone


def test_ranks_draw_by_global_position(augmented: ImageDataset) -> None:
    draws = [batch["draw"] for batch in DataLoader(augmented, 6, shuffle=False)]
    ranks = [
        [batch["draw"] for batch in DataLoader(augmented, 6, shuffle=False, rank=r, world_size=2)]
        for r in range(2)
    ]
    assert torch.equal(
        torch.cat(draws), torch.cat([torch.cat(p) for p in zip(*ranks, strict=True)])
    )


@pytest.mark.parametrize("start", ["fork", "spawn", "forkserver"])
def test_workers_change_nothing(augmented: ImageDataset, start: str) -> None:
    alone = DataLoader(augmented, 5, seed=3)
    helped = DataLoader(augmented, 5, seed=3, num_workers=2, multiprocessing_context=start)
    for _ in range(2):
        assert_same(list(helped), list(alone))
    draws = torch.cat([batch["draw"] for batch in alone])
    assert len(draws.unique()) == SAMPLES


def test_every_epoch_draws_anew(augmented: ImageDataset) -> None:
    loader = DataLoader(augmented, 5, shuffle=False)
    first, second = ([batch["draw"] for batch in loader] for _ in range(2))
    assert not torch.equal(torch.cat(first), torch.cat(second))


def test_a_loop_resumes_at_every_step(augmented: ImageDataset) -> None:
    def run(loader: DataLoader, count: int) -> list[dict[str, Any]]:
        """Batch after batch, over the ends of epochs."""
        batches: list[dict[str, Any]] = []
        while len(batches) < count:
            for batch in loader:
                batches.append(batch | {"state": loader.state_dict()})
                if len(batches) == count:
                    break
        return batches

    whole = run(DataLoader(augmented, 5, seed=3), 12)
    for done in range(1, 11):
        state = whole[done - 1]["state"]
        assert (state["epoch"], state["step"]) == divmod(done, 5)
        loader = DataLoader(augmented, 5, seed=3)
        loader.load_state_dict(state)
        assert loader.state_dict() == state
        assert_same(run(loader, 12 - done), whole[done:])


def test_a_state_fits_any_number_of_workers_and_ranks(images: ImageDataset) -> None:
    loader = DataLoader(images, 4, num_workers=2)
    batches = iter(loader)
    next(batches)
    next(batches)
    state = loader.state_dict()
    # Not three or more, though the workers have read ahead.
    assert state == {"plan": loader.plan.digest, "epoch": 0, "step": 2}
    rest = [batch["path"] for batch in batches]
    ranks = [DataLoader(images, 4, rank=rank, world_size=2) for rank in range(2)]
    for rank in ranks:
        rank.load_state_dict(state)
    shares = [epochs(rank, 1)[0] for rank in ranks]
    assert [joined(parts) for parts in zip(*shares, strict=True)] == rest


@pytest.mark.parametrize("workers", [0, 2])
def test_each_iterator_is_an_epoch_from_its_start(images: ImageDataset, workers: int) -> None:
    expected = epochs(DataLoader(images, 5), 4)
    loader = DataLoader(images, 5, num_workers=workers)
    iter(loader)  # gives no batch, so it uses nothing up
    assert next(iter(loader))["path"] == expected[0][0]
    for step, batch in enumerate(loader):
        assert batch["path"] == expected[1][step]
        if step == 2:
            break
    assert epochs(loader, 2) == expected[2:]


@pytest.mark.parametrize("workers", [0, 2])
def test_iterators_side_by_side_are_epochs_of_their_own(images: ImageDataset, workers: int) -> None:
    expected = epochs(DataLoader(images, 5), 7)
    loader = DataLoader(images, 5, num_workers=workers)
    outer = []
    for batch in loader:
        outer.append(batch["path"])
        (inner,) = epochs(loader, 1)
        assert inner == expected[len(outer)]
    assert outer == expected[0]
    assert epochs(loader, 1) == [expected[6]]

    pairs = zip(*(iter(DataLoader(images, 5, num_workers=workers)) for _ in range(2)), strict=True)
    assert [[a["path"], b["path"]] for a, b in pairs] == [[e, e] for e in expected[0]]
    pairs = zip(loader, loader, strict=True)
    assert next(pairs)[0]["path"] != next(pairs)[1]["path"]


def test_threads_share_a_loader(images: ImageDataset) -> None:
    expected = epochs(DataLoader(images, 5), 6)
    loader = DataLoader(images, 5)
    with ThreadPoolExecutor(3) as pool:
        found = list(pool.map(lambda _: epochs(loader, 1)[0], range(6)))
    assert sorted(found) == sorted(expected)


def test_an_iterator_that_failed_before_its_first_batch_uses_nothing_up(
    images: ImageDataset,
) -> None:
    calls: list[int] = []

    def fails_once(samples: list[Any]) -> list[str]:
        calls.append(1)
        if len(calls) == 1:
            raise OSError("away")
        return [sample["path"] for sample in samples]

    loader = DataLoader(images, 5, collate_fn=fails_once)
    with pytest.raises(OSError, match="away"):
        next(iter(loader))
    assert list(loader) == epochs(DataLoader(images, 5), 1)[0]


def test_a_state_is_that_of_the_iterator_that_gave_the_last_batch(images: ImageDataset) -> None:
    loader = DataLoader(images, 5)
    first, second = iter(loader), iter(loader)
    next(first)
    next(second)
    next(first)
    assert (loader.state_dict()["epoch"], loader.state_dict()["step"]) == (0, 2)
    next(second)
    assert (loader.state_dict()["epoch"], loader.state_dict()["step"]) == (1, 2)


def test_only_the_iterator_after_a_state_was_loaded_starts_in_the_middle(
    images: ImageDataset,
) -> None:
    expected = epochs(DataLoader(images, 5), 4)
    loader = DataLoader(images, 5)
    loader.load_state_dict({"plan": loader.plan.digest, "epoch": 1, "step": 3})
    assert epochs(loader, 2) == [expected[1][3:], expected[2]]


def test_loops_that_count_epochs_themselves(images: ImageDataset) -> None:
    expected = epochs(DataLoader(images, 5), 4)
    loader = DataLoader(images, 5)
    found = []
    for epoch in (3, 1, 1):
        loader.set_epoch(epoch)
        found += epochs(loader, 1)
    assert found == [expected[3], expected[1], expected[1]]
    loader.load_state_dict({"plan": loader.plan.digest, "epoch": 2, "step": 4})
    loader.set_epoch(2)
    assert epochs(loader, 1) == [expected[2][4:]]
    loader.load_state_dict({"plan": loader.plan.digest, "epoch": 2, "step": 4})
    loader.set_epoch(1)
    assert epochs(loader, 1) == [expected[1]]
    with pytest.raises(InvalidInputError, match="no epoch -1"):
        loader.set_epoch(-1)


@pytest.mark.parametrize("workers", [0, 2])
def test_a_loop_that_takes_the_loader_apart(augmented: ImageDataset, workers: int) -> None:
    """As accelerate does: torch's loader is made anew of what ours consists of."""
    ours = DataLoader(augmented, 5, seed=3)
    expected = [list(ours) for _ in range(4)]
    loader = DataLoader(augmented, 5, seed=3)
    apart: torch_data.DataLoader[Any] = torch_data.DataLoader(
        loader.dataset,
        batch_sampler=loader.batch_sampler,
        collate_fn=loader.collate_fn,
        num_workers=workers,
    )
    assert_same(list(apart), expected[0])
    assert_same(list(apart), expected[1])
    order = loader.batch_sampler
    assert isinstance(order, Order)
    order.set_epoch(3)
    assert_same(list(apart), expected[3])


def test_a_loop_that_takes_the_loader_apart_leaves_out_bad_samples(damaged: Snapshot) -> None:
    loader = DataLoader(ImageDataset(damaged, on_bad_sample="skip"), 3, shuffle=False)
    apart: torch_data.DataLoader[Any] = torch_data.DataLoader(
        loader.dataset, batch_sampler=loader.batch_sampler, collate_fn=loader.collate_fn
    )
    assert [batch["path"] for batch in apart] == [["0.png", "2.png"], ["4.png", "5.png"]]
    loader = DataLoader(ImageDataset(damaged), 3, shuffle=False)
    apart = torch_data.DataLoader(
        loader.dataset, batch_sampler=loader.batch_sampler, collate_fn=loader.collate_fn
    )
    with pytest.raises(BadSampleError, match=r"^'1.png' of"):
        list(apart)


def test_a_copy_of_a_loader_is_a_loader_of_its_own(images: ImageDataset) -> None:
    loader = DataLoader(images, 5)
    expected = epochs(DataLoader(images, 5), 2)
    assert epochs(loader, 1) == expected[:1]
    other = copy.deepcopy(loader)
    assert epochs(other, 1) == epochs(loader, 1) == expected[1:]


def test_the_last_batch_leads_to_the_next_epoch(images: ImageDataset) -> None:
    loader = DataLoader(images, 5)
    states = [(loader.state_dict()["epoch"], loader.state_dict()["step"]) for _ in loader]
    assert states == [(0, 1), (0, 2), (0, 3), (0, 4), (1, 0)]
    loader.load_state_dict({"plan": loader.plan.digest, "epoch": 0, "step": 5})
    assert loader.state_dict()["epoch"] == 1


def test_states_of_other_plans_are_refused(images: ImageDataset) -> None:
    state = DataLoader(images, 5).state_dict()
    for other in (DataLoader(images, 4), DataLoader(images, 5, seed=1)):
        with pytest.raises(InvalidInputError, match="another order of samples"):
            other.load_state_dict(state)
    with pytest.raises(InvalidInputError, match="There is no step 9"):
        DataLoader(images, 5).load_state_dict(state | {"step": 9})


def test_a_batch_digest_names_the_samples_of_all_ranks(images: ImageDataset) -> None:
    loader = DataLoader(images, 5, rank=1, world_size=2)
    hasher = Hasher()
    for path, digest in images.sample_ids(loader.plan.batch(1, 2).tolist()):
        hasher.update(path.encode())
        hasher.update(b"\0")
        hasher.update(digest)
    assert loader.batch_digest(1, 2) == hasher.hexdigest()
    assert loader.batch_digest(1, 3) != loader.batch_digest(1, 2)


def test_iterating_leaves_the_global_generator_alone(images: ImageDataset) -> None:
    before = torch.get_rng_state()
    epochs(DataLoader(images, 5), 2)
    assert torch.equal(torch.get_rng_state(), before)


def test_workers_compute_with_one_thread(images: ImageDataset, transforms: ModuleType) -> None:
    dataset = ImageDataset(images.snapshot, transform=transforms.count_threads)
    (batch,) = DataLoader(dataset, SAMPLES, num_workers=1)
    assert set(batch["threads"].tolist()) == {1}


@pytest.fixture
def damaged(make_snapshot: MakeSnapshot, image_file: Encode) -> Snapshot:
    """Six images of which the second and the fourth are cut off."""
    data = image_file(np.zeros((4, 4), np.uint8))
    return make_snapshot({f"{n}.png": data[:-20] if n in (1, 3) else data for n in range(6)})


@pytest.mark.parametrize("workers", [0, 2])
def test_a_bad_sample_stops_the_loop_in_one_sentence(damaged: Snapshot, workers: int) -> None:
    loader = DataLoader(ImageDataset(damaged), 3, shuffle=False, num_workers=workers)
    with pytest.raises(BadSampleError) as caught:
        list(loader)
    assert str(caught.value).startswith(
        f"'1.png' of dataset {damaged.digest[:12]} cannot be decoded"
    )
    assert "\n" not in str(caught.value)
    assert caught.value.hint


@pytest.mark.parametrize("workers", [0, 2])
def test_skipped_samples_are_told(damaged: Snapshot, workers: int) -> None:
    dataset = ImageDataset(damaged, on_bad_sample="skip")
    loader = DataLoader(dataset, 3, shuffle=False, num_workers=workers)
    for _ in range(2):
        assert epochs(loader, 1) == [[["0.png", "2.png"], ["4.png", "5.png"]]]
        assert [path for path, _ in loader.skipped] == ["1.png", "3.png"]
        assert all("cut off" in reason for _, reason in loader.skipped)


def test_a_batch_of_which_nothing_is_left_is_an_error(damaged: Snapshot) -> None:
    loader = DataLoader(ImageDataset(damaged, on_bad_sample="skip"), 1, shuffle=False)
    with pytest.raises(BadSampleError, match=r"^None of the 1 samples .*'1.png'"):
        list(loader)
    assert [path for path, _ in loader.skipped] == ["1.png"]


@pytest.mark.parametrize("workers", [0, 1])
def test_damage_in_the_store_is_no_bad_sample(
    make_snapshot: MakeSnapshot, image_file: Encode, workers: int
) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (16, 16), np.uint8)
    data = image_file(noise)
    snapshot = make_snapshot({"a.png": data})
    for pack in Path(snapshot.url, "packs").iterdir():
        pack.write_bytes(pack.read_bytes().replace(data[40:], data[40:-1] + b"?"))
    dataset = ImageDataset(Snapshot(snapshot.url, snapshot.digest), on_bad_sample="skip")
    with pytest.raises(IntegrityError) as caught:
        list(DataLoader(dataset, 1, num_workers=workers))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("workers", [0, 1])
def test_images_of_different_sizes_need_a_size(
    make_snapshot: MakeSnapshot, image_file: Encode, workers: int
) -> None:
    files = {f"{n}.png": image_file(np.zeros((n, 4), np.uint8)) for n in (3, 5)}
    snapshot = make_snapshot(files)
    with pytest.raises(InvalidInputError, match=r"^The samples' 'image' differ in shape") as caught:
        list(DataLoader(ImageDataset(snapshot), 2, num_workers=workers))
    assert "size=(height, width)" in caught.value.hint
    (batch,) = DataLoader(ImageDataset(snapshot, size=(4, 4)), 2)
    assert batch["image"].shape == (2, 3, 4, 4)


def test_texts_of_different_lengths(make_snapshot: MakeSnapshot) -> None:
    snapshot = make_snapshot({"a.jsonl": b'{"text":"x"}\n{"text":"x y z"}\n'})
    vocabulary = Vocabulary.build(["x y z"], 10)
    dataset = TextDataset(snapshot, vocabulary=vocabulary)
    (batch,) = DataLoader(dataset, 2, shuffle=False)
    assert batch["tokens"].tolist() == [[2, 0, 0], [2, 3, 4]]
    assert batch["lengths"].tolist() == [1, 3]
    assert batch["text"] == ["x", "x y z"]


def test_a_collate_function_of_ones_own(images: ImageDataset) -> None:
    loader = DataLoader(images, 5, shuffle=False, collate_fn=len)
    assert list(loader) == [5, 5, 5, 5, 3]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rank": 1}, "no rank 1 of 1"),
        ({"world_size": 4}, "The last batch has 3 samples for 4 ranks"),
        ({"world_size": 6}, "A batch has 3 samples for 6 ranks"),
        ({"sampler": [1, 2]}, "'sampler' contradicts the plan"),
        ({"batch_sampler": [[1, 2]]}, "'batch_sampler' contradicts the plan"),
    ],
)
def test_what_contradicts_a_plan_is_refused(
    images: ImageDataset, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(InvalidInputError, match=message):
        DataLoader(images, 5, **options)


def test_samples_as_they_are_make_lists(images: ImageDataset) -> None:
    batch = next(iter(DataLoader(SampleDataset(images.snapshot), 2, shuffle=False)))
    assert batch["label"] == ["0", "0"]
    assert all(data.startswith(b"\x89PNG") for data in batch["data"])
