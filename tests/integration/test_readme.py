"""What the README promises of this very tree."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from datasets_vc.repository import Repository

PROJECT = Path(__file__).parents[2]


def test_the_sample_data_have_the_digest_that_the_readme_prints(tmp_path: Path) -> None:
    for media in ("digits", "clips", "texts"):
        shutil.copytree(PROJECT / "sample_data" / media, tmp_path / media)
    made = Repository.init(tmp_path).commit("sample data", author="Ada <ada@example.org>")
    assert f"dataset {made.dataset.hex()}" in (PROJECT / "README.md").read_text()


@pytest.mark.parametrize(
    "document", sorted(PROJECT.glob("*.md")) + sorted(PROJECT.glob("docs/**/*.md")), ids=str
)
def test_links_between_documents_lead_somewhere(document: Path) -> None:
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", document.read_text())
    assert [link for link in links if not (document.parent / link).exists()] == []
