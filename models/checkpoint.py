"""Checkpoints: everything that a training needs to go on with the same bits, in safetensors.

Tensors are named `model.*`, `optimizer.<parameter>.<name>` and `rng.*`; the rest is canonical JSON
in the one member `state` of the metadata, for safetensors keeps no order among several.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from datasets_vc.decoding import load_json
from datasets_vc.digest import digest_of
from datasets_vc.errors import InvalidInputError, NotFoundError

_FORMAT = "dsvc-checkpoint-1"


@dataclass(frozen=True)
class Written:
    """A file of a run."""

    name: str
    digest: str
    size: int


def save_checkpoint(
    path: Path, model: nn.Module, optimizer: torch.optim.Optimizer, state: dict[str, Any]
) -> Written:
    """Write a checkpoint; afterwards there is a whole one at `path`, or none.

    Args:
        state: what else to keep; anything that JSON can say.
    """
    tensors = {f"model.{name}": tensor for name, tensor in model.state_dict().items()}
    for number, values in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{number}.{name}": value for name, value in values.items()}
    tensors |= _rng_states(model)
    metadata = json.dumps({"format": _FORMAT} | state, sort_keys=True, ensure_ascii=False)
    kept = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    data = save(kept, {"state": metadata})
    temporary = path.with_name(f".tmp-{path.name}")
    temporary.write_bytes(data)
    temporary.replace(path)
    return Written(path.name, digest_of(data).hex(), len(data))


def load_checkpoint(
    path: Path, model: nn.Module, optimizer: torch.optim.Optimizer
) -> dict[str, Any]:
    """Bring model, optimizer and random generators to where they were; returns the state.

    Raises:
        NotFoundError: there is no such file.
        InvalidInputError: it is no checkpoint, or that of another model.
    """
    if not path.is_file():
        raise NotFoundError(f"There is no checkpoint '{path}'.")
    try:
        with safe_open(path, framework="pt") as file:
            state = load_json((file.metadata() or {})["state"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        if state.pop("format") != _FORMAT:
            raise KeyError("format")
    except (SafetensorError, KeyError, ValueError) as error:
        raise InvalidInputError(f"'{path}' is not a checkpoint of a training.") from error
    try:
        model.load_state_dict(_under("model.", tensors))
    except RuntimeError as error:
        raise InvalidInputError(
            f"The checkpoint '{path}' is that of another model.",
            "Resume with the model, settings and dataset of the training that wrote it.",
        ) from error
    _load_optimizer(optimizer, _under("optimizer.", tensors))
    torch.set_rng_state(tensors["rng.cpu"])
    if "rng.cuda" in tensors and torch.cuda.is_available():
        torch.cuda.set_rng_state(tensors["rng.cuda"])
    return dict(state)


def _load_optimizer(optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    state: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        number, _, key = name.partition(".")
        state.setdefault(int(number), {})[key] = tensor
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": state, "param_groups": groups})


def _rng_states(model: nn.Module) -> dict[str, Tensor]:
    states = {"rng.cpu": torch.get_rng_state()}
    if next(model.parameters()).is_cuda:
        states["rng.cuda"] = torch.cuda.get_rng_state()
    return states


def _under(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {
        name.removeprefix(prefix): tensor
        for name, tensor in tensors.items()
        if name.startswith(prefix)
    }
