from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import chain
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from datasets_vc import Snapshot
from datasets_vc.digest import Hasher
from datasets_vc.errors import BadSampleError, IntegrityError, InvalidInputError
from loaders import DataLoader, ImageDataset, SampleDataset, TextDataset, Vocabulary

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
def test_a_loop_that_was_left_goes_on(images: ImageDataset, workers: int) -> None:
    expected = epochs(DataLoader(images, 5), 2)
    loader = DataLoader(images, 5, num_workers=workers)
    first = next(iter(loader))["path"]
    assert [[first, *epochs(loader, 1)[0]], *epochs(loader, 1)] == expected


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
