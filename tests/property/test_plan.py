"""A plan is a permutation an epoch, the same however it is asked."""

from __future__ import annotations

from itertools import chain, pairwise
from math import ceil

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datasets_vc.errors import InvalidInputError
from loaders import Plan
from loaders.permutation import Permutation

DATASET = "ab" * 32

SIZES = st.integers(1, 120)
EPOCHS = st.integers(0, 1000)


def plan(samples: int, batch_size: int, **options: object) -> Plan:
    return Plan(DATASET, "all", samples, batch_size, **options)  # type: ignore[arg-type]


@given(st.integers(1, 3000), st.binary(max_size=40))
def test_every_number_comes_once(size: int, key: bytes) -> None:
    images = Permutation(size, key).forward(np.arange(size))
    assert sorted(images.tolist()) == list(range(size))


@given(st.integers(1, 2**62), st.binary(max_size=8), st.data())
def test_the_inverse_leads_back(size: int, key: bytes, data: st.DataObject) -> None:
    numbers = st.lists(st.integers(0, size - 1), min_size=1, max_size=20)
    values = np.array(data.draw(numbers), np.int64)
    permutation = Permutation(size, key)
    images = permutation.forward(values)
    assert (images >= 0).all()
    assert (images < size).all()
    assert permutation.inverse(images).tolist() == values.tolist()


def test_the_permutation_of_a_key_never_changes() -> None:
    assert Permutation(10, b"key").forward(np.arange(10)).tolist() == [
        4,
        1,
        6,
        2,
        8,
        7,
        9,
        0,
        3,
        5,
    ]


@pytest.mark.parametrize("size", [6, 17])
def test_images_are_spread_evenly(size: int) -> None:
    draws = 4_000
    keys = range(draws)
    first = np.array([Permutation(size, str(key).encode()).forward(np.arange(2)) for key in keys])
    # Chi squared of where position 0 goes, and of how far from there position 1 goes.
    distance = (first[:, 1] - first[:, 0]) % size - 1
    for values, cells in ((first[:, 0], size), (distance, size - 1)):
        counts = np.bincount(values, minlength=cells)
        chi_squared = ((counts - draws / cells) ** 2 / (draws / cells)).sum()
        assert chi_squared < cells + 5 * (2 * cells) ** 0.5


@given(SIZES, st.integers(1, 400), EPOCHS, st.booleans(), st.integers())
def test_the_batches_of_an_epoch_part_the_samples(
    samples: int, batch_size: int, epoch: int, shuffle: bool, seed: int
) -> None:
    order = plan(samples, batch_size, shuffle=shuffle, seed=seed)
    batches = [order.batch(epoch, step).tolist() for step in range(order.batches)]
    together = list(chain.from_iterable(batches))
    assert order.batches == ceil(samples / batch_size)
    assert sorted(together) == list(range(samples))
    assert {len(batch) for batch in batches[:-1]} <= {batch_size}
    assert shuffle or together == list(range(samples))


@given(SIZES, st.integers(1, 50), EPOCHS)
def test_without_the_last_batch_all_are_full(samples: int, batch_size: int, epoch: int) -> None:
    if samples < batch_size:
        with pytest.raises(InvalidInputError, match="do not fill one batch"):
            plan(samples, batch_size, drop_last=True)
        return
    order = plan(samples, batch_size, drop_last=True)
    batches = [order.batch(epoch, step).tolist() for step in range(order.batches)]
    assert {len(batch) for batch in batches} == {batch_size}
    assert len(set(chain.from_iterable(batches))) == samples - samples % batch_size


@given(SIZES, st.integers(1, 60), EPOCHS, st.integers(1, 9))
def test_ranks_share_each_batch_in_order(
    samples: int, batch_size: int, epoch: int, world_size: int
) -> None:
    order = plan(samples, batch_size)
    for step in range(order.batches):
        shares = [order.share(epoch, step, rank, world_size) for rank in range(world_size)]
        together = np.concatenate([indices for _, indices in shares])
        assert together.tolist() == order.batch(epoch, step).tolist()
        lengths = [len(indices) for _, indices in shares]
        assert max(lengths) - min(lengths) <= 1
        starts = [start for start, _ in shares]
        assert starts[0] == step * batch_size
        assert [b - a for a, b in pairwise(starts)] == lengths[:-1]


@given(SIZES, st.integers(1, 60), EPOCHS, st.booleans(), st.booleans())
def test_where_is_the_way_back(
    samples: int, batch_size: int, epoch: int, shuffle: bool, drop_last: bool
) -> None:
    order = plan(samples, min(samples, batch_size), shuffle=shuffle, drop_last=drop_last)
    for step in range(order.batches):
        for position, index in enumerate(order.batch(epoch, step).tolist()):
            assert order.where(index, epoch) == (step, position)
    found = [order.where(index, epoch) for index in range(samples)]
    left_out = samples % order.batch_size if drop_last else 0
    assert found.count(None) == left_out


@given(st.integers(2, 200), st.integers(1, 20))
def test_ranks_never_lack_samples(samples: int, world_size: int) -> None:
    order = plan(samples, max(1, samples // 2))
    try:
        order.check_ranks(0, world_size)
    except InvalidInputError:
        smallest = min(len(order.batch(0, step)) for step in range(order.batches))
        assert smallest < world_size
        return
    for step in range(order.batches):
        assert all(len(order.share(0, step, rank, world_size)[1]) for rank in range(world_size))


def test_everything_that_names_a_plan_changes_its_order_or_its_digest() -> None:
    base = plan(1000, 10)
    others = [
        Plan("cd" * 32, "all", 1000, 10),
        Plan(DATASET, "some", 1000, 10),
        plan(1000, 10, seed=1),
        plan(1000, 10, seed=-1),
        plan(1000, 20),
        plan(1000, 10, shuffle=False),
        plan(999, 10),
        plan(1000, 10, drop_last=True),
    ]
    digests = {order.digest for order in [base, *others]}
    assert len(digests) == len(others) + 1
    first = base.batch(0, 0).tolist()
    assert first != base.batch(1, 0).tolist()
    assert all(order.batch(0, 0).tolist() != first for order in others[:4])
    assert plan(1000, 10, seed=1).batch(0, 0).tolist() != base.batch(1, 0).tolist()


def test_the_order_of_a_plan_never_changes() -> None:
    order = plan(10, 3)
    assert order.digest == "98f1342405e57ff4afac315fd56a250bf829f45099f1908a9e6883db2c096e4c"
    assert order.batch(0, 0).tolist() == [0, 5, 3]


def test_the_end_of_an_epoch_is_the_start_of_the_next() -> None:
    order = plan(10, 3)
    assert order.normal(2, 4) == (3, 0)
    assert order.normal(2, 3) == (2, 3)


@pytest.mark.parametrize(("epoch", "step"), [(-1, 0), (0, -1), (0, 5)])
def test_moments_outside_of_the_plan_are_refused(epoch: int, step: int) -> None:
    with pytest.raises(InvalidInputError, match="an epoch has 4 steps"):
        plan(10, 3).normal(epoch, step)


@pytest.mark.parametrize(("epoch", "step"), [(-1, 0), (0, -1), (0, 4)])
def test_there_are_no_batches_outside_of_the_plan(epoch: int, step: int) -> None:
    with pytest.raises(InvalidInputError, match="There is no step"):
        plan(10, 3).batch(epoch, step)


@pytest.mark.parametrize("index", [-1, 10])
def test_there_are_no_samples_outside_of_the_plan(index: int) -> None:
    with pytest.raises(InvalidInputError, match="the plan has 10"):
        plan(10, 3).where(index, 0)


@pytest.mark.parametrize(("samples", "batch_size"), [(0, 1), (10, 0), (10, -2)])
def test_plans_without_batches_are_refused(samples: int, batch_size: int) -> None:
    with pytest.raises(InvalidInputError):
        plan(samples, batch_size)


@pytest.mark.parametrize(("rank", "world_size"), [(-1, 2), (2, 2), (0, 0)])
def test_ranks_that_do_not_exist_are_refused(rank: int, world_size: int) -> None:
    with pytest.raises(InvalidInputError, match="There is no rank"):
        plan(10, 3).check_ranks(rank, world_size)


def test_a_plan_describes_itself() -> None:
    order = plan(10, 3, seed=7)
    described = order.describe()
    assert described["digest"] == order.digest
    assert described["samples"] == 10
    assert described["batches"] == 4
    assert described["seed"] == 7
