from __future__ import annotations

import pytest

from datasets_vc import repository


def test_every_public_name_has_a_home_and_every_home_its_name() -> None:
    assert sorted(repository._HOMES) == sorted(repository.__all__)
    for name in repository.__all__:
        found = getattr(repository, name)
        assert not callable(found) or found.__name__ == name


def test_other_names_are_refused() -> None:
    with pytest.raises(AttributeError, match="'Nothing'"):
        repository.Nothing  # noqa: B018
