"""The variables that a reproduced run gets: those of its record, what a process needs, no secret.

This is no sandbox, and no protection against code that looks for tokens and keys: on Linux any
process of a user can read the variables that the others were started with, those of dsvc and of
the shell above it. It keeps them from code that has no use for them and would pass them on or write
them down, and keeps a record from choosing what a process is started with.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from datasets_vc.errors import IntegrityError, InvalidInputError

RECORDED = frozenset(
    {
        "ATEN_CPU_CAPABILITY",
        "CUBLAS_WORKSPACE_CONFIG",
        "CUDA_VISIBLE_DEVICES",
        "MKL_CBWR",
        "MKL_NUM_THREADS",
        "NVIDIA_TF32_OVERRIDE",
        "OMP_NUM_THREADS",
        "ONEDNN_MAX_CPU_ISA",
        "PYTHONHASHSEED",
        "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE",
        "TORCH_CUDNN_V8_API_DISABLED",
    }
)
"""What a record may set: it changes bits, and can neither load code nor lead elsewhere."""

_DEVICES = "CUDA_VISIBLE_DEVICES"
_NO_DEVICES = ("", "-1")

_NEEDED = (
    "PATH",
    "TMPDIR",
    "LANG",
    "LC_ALL",
    "LC_CTYPE",
    "TZ",
    "USER",
    "LOGNAME",
    # Where this installation has its libraries, if not where everybody has them.
    "LD_LIBRARY_PATH",
    "DYLD_LIBRARY_PATH",
    "PYTHONPATH",
    # Which of this machine's processors are for us.
    _DEVICES,
    # Windows starts no process without some of these.
    "SYSTEMROOT",
    "SYSTEMDRIVE",
    "WINDIR",
    "COMSPEC",
    "PATHEXT",
    "TEMP",
    "TMP",
    "NUMBER_OF_PROCESSORS",
    "PROCESSOR_ARCHITECTURE",
    "USERNAME",
)
_LONGEST = 4096


def recorded_variables(members: Mapping[str, Any], what: str) -> dict[str, str]:
    """The variables that the input of a run lists, those included that it does not get.

    Raises:
        IntegrityError: they are none.
    """
    environment = members.get("environment", {})
    variables = environment.get("variables", {}) if isinstance(environment, Mapping) else None
    if not isinstance(variables, Mapping):
        raise IntegrityError(f"{what} is malformed: its variables are none.")
    for name, value in variables.items():
        wrong = not isinstance(value, str) or len(value) > _LONGEST or not _can_be_set(value)
        if wrong or not name or "=" in name or not _can_be_set(name):
            raise IntegrityError(f"{what} is malformed: its variable {name[:100]!a} is none.")
    return dict(variables)


def applied(recorded: Mapping[str, str]) -> dict[str, str]:
    """Those of the recorded variables that a reproduction sets.

    The numbers of a processor mean something on one machine only; that there was to be none means
    the same everywhere.
    """
    return {
        name: value
        for name, value in recorded.items()
        if name in RECORDED and (name != _DEVICES or value in _NO_DEVICES)
    }


def left_out(recorded: Mapping[str, str]) -> list[str]:
    """The names of the recorded variables that no reproduction sets, whatever they say."""
    return sorted(recorded.keys() - RECORDED)


def process_environment(
    around: Mapping[str, str],
    recorded: Mapping[str, str],
    passed: Sequence[str],
    home: Path,
    user_packages: str | None = None,
) -> dict[str, str]:
    """All variables of a process that reproduces a run.

    Args:
        around: those of the user who asks.
        recorded: those of the record.
        passed: names of those of the user that it gets besides; they win.
        home: a folder that is its home.
        user_packages: what `PYTHONUSERBASE` is to be, which Python else finds by the home.

    Raises:
        InvalidInputError: one that is to be passed is not there.
    """
    absent = [name for name in passed if name not in around]
    if absent:
        raise InvalidInputError(
            f"There is no variable {absent[0]!a} to pass on.",
            f"Set it, or leave out: --pass-env {absent[0]}",
        )
    found = {name: around[name] for name in _NEEDED if name in around}
    found |= {"HOME": str(home), "USERPROFILE": str(home)}
    if user_packages:
        found["PYTHONUSERBASE"] = user_packages
    return found | applied(recorded) | {name: around[name] for name in passed}


def _can_be_set(text: str) -> bool:
    return "\0" not in text and not any("\ud800" <= letter <= "\udfff" for letter in text)
