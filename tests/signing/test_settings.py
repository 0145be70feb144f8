"""The table [signing] of a configuration."""

from __future__ import annotations

import pytest

from datasets_vc.errors import InvalidInputError
from datasets_vc.signing import SigningSettings, parse_settings


def test_nothing_is_signed_and_nobody_trusted_by_default() -> None:
    assert parse_settings({}) == SigningSettings(None, False, False, None, None, False)


def test_all_of_it_and_what_a_later_version_knows() -> None:
    table = {
        "key": "~/.ssh/k.pub",
        "commits": True,
        "tags": True,
        "allowed_signers": "a b",
        "revoked_keys": "/r",
        "verify": True,
    }
    wanted = SigningSettings("~/.ssh/k.pub", True, True, "a b", "/r", True)

    assert parse_settings(table) == wanted
    assert parse_settings(table | {"later": [1]}) == wanted


@pytest.mark.parametrize(
    ("name", "value"),
    [("verify", "yes"), ("verify", 1), ("commits", "true"), ("key", True), ("allowed_signers", "")],
)
def test_a_wrong_value_is_refused_by_name(name: str, value: object) -> None:
    with pytest.raises(InvalidInputError, match=rf"signing\.{name}"):
        parse_settings({name: value})
