"""Interrupts that wait for a point where nothing is half done."""

from __future__ import annotations

import signal

import pytest

from models.interrupts import Interrupted, Interrupts


def test_an_interrupt_is_held_back_until_it_is_asked_for() -> None:
    with Interrupts().held() as interrupts:
        interrupts.check()
        signal.raise_signal(signal.SIGINT)

        with pytest.raises(Interrupted):
            interrupts.check()


def test_a_second_interrupt_is_not_held_back() -> None:
    with Interrupts().held():
        signal.raise_signal(signal.SIGINT)

        with pytest.raises(KeyboardInterrupt) as caught:
            signal.raise_signal(signal.SIGINT)
    assert not isinstance(caught.value, Interrupted)


def test_waiting_is_interrupted_at_once() -> None:
    with Interrupts().held() as interrupts, pytest.raises(Interrupted), interrupts.waiting():
        signal.raise_signal(signal.SIGINT)


def test_an_interrupt_held_back_ends_the_next_wait() -> None:
    with Interrupts().held() as interrupts:
        signal.raise_signal(signal.SIGINT)

        with pytest.raises(Interrupted), interrupts.waiting():
            pytest.fail("it waited")


def test_afterwards_interrupts_are_as_before() -> None:
    before = signal.getsignal(signal.SIGINT)
    with Interrupts().held():
        assert signal.getsignal(signal.SIGINT) != before

    assert signal.getsignal(signal.SIGINT) == before
