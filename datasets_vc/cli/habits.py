"""Verbs that people know from git and DVC, and what does the same here."""

from __future__ import annotations

from collections.abc import Mapping

_NO_STAGE = (
    "There is no stage: 'dsvc commit' takes the folder as it is, but for what .dsvcignore names."
)

INSTEAD: Mapping[str, str] = {
    **dict.fromkeys(("add", "rm", "mv", "stage"), _NO_STAGE),
    "switch": "'dsvc checkout BRANCH' goes to a branch, 'dsvc checkout -b NAME' makes one.",
    "reset": "'dsvc restore PATH' brings files back, 'dsvc revert REV' takes a commit back.",
    "stash": "Put it on a branch of its own: dsvc checkout -b NAME, then dsvc commit.",
    "rebase": "'dsvc merge REV' and 'dsvc cherry-pick REV' bring changes over.",
    "config": "Settings are in .dsvc/config.toml; 'dsvc remote add' adds a remote.",
    "help": "'dsvc --help' lists the verbs, 'dsvc VERB --help' tells about one.",
    "run": "'dsvc train MODEL --data REV' trains and records the run.",
    "repro": "'dsvc reproduce RUN' trains a recorded run again.",
    "version": "'dsvc --version' prints it.",
}
