from __future__ import annotations

from datetime import UTC, datetime

import pytest

from datasets_vc.cli import render


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (1024 * 1024 - 1, "1.0 MiB"),
        (5 * 1024**2 + 300 * 1024, "5.3 MiB"),
        (3 * 1024**3, "3.0 GiB"),
        (5000 * 1024**3, "5000.0 GiB"),
    ],
)
def test_size(number, text) -> None:
    assert render.size(number) == text


def test_count() -> None:
    assert render.count(1, "file") == "1 file"
    assert render.count(2000, "file") == "2,000 files"


def test_moment() -> None:
    assert render.moment(datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)) == "2026-01-02 03:04:05 UTC"


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("naïve ☃.png", "naïve ☃.png"),
        ("a\nb", "a\\nb"),
        ("\x1b[2J", "\\x1b[2J"),
        ("a\u202eb", "a\\u202eb"),
        ("\udcff", "\\udcff"),
    ],
)
def test_shown_escapes_what_a_terminal_would_obey(text, seen) -> None:
    assert render.shown(text) == seen


def test_table_puts_numbers_to_the_right() -> None:
    lines = list(render.table(("NAME", "SIZE"), [("a", "1"), ("bcdef", "1,000")]))

    assert lines == ["NAME    SIZE", "a          1", "bcdef  1,000"]
