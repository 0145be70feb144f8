"""What a training says of itself: its inputs, and a log of what happens (docs/format.md, 10)."""

from __future__ import annotations

import json
import platform
import struct
from collections.abc import Mapping
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

import datasets_vc
from datasets_vc.digest import Hasher
from datasets_vc.errors import AlreadyExistsError, BadSampleError
from loaders import SampleDataset, decoder_versions
from models.config import Config
from models.determinism import flags

LOG = "log.jsonl"

# Variables that can change what is computed. Others may be secret, so they are never recorded.
VARIABLES = (
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
)
_PROBES = 4


class Log:
    """A JSON object a line, each written through when it happens.

    Raises:
        AlreadyExistsError: the folder has the log of another training.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        try:
            self._file = (folder / LOG).open("x", encoding="utf-8")
        except FileExistsError as error:
            raise AlreadyExistsError(
                f"'{folder}' holds the log of another training.", "Choose another folder."
            ) from error

    def write(self, event: str, **members: Any) -> None:
        line = json.dumps({"event": event} | members, ensure_ascii=False, allow_nan=False)
        self._file.write(line + "\n")
        self._file.flush()

    def close(self) -> None:
        self._file.close()


def inputs(
    config: Config,
    plan: Mapping[str, Any],
    train: SampleDataset,
    device: torch.device,
    variables: Mapping[str, str],
) -> dict[str, Any]:
    """What goes into a training, but for its data and code; compared member by member.

    Args:
        variables: the environment, of which `VARIABLES` are kept.
    """
    seed = config["seed"]
    return {
        "config": {key: repr(v) if isinstance(v, float) else v for key, v in config.items()},
        "seeds": {"torch": seed, "plan": seed},
        "plan": dict(plan),
        "packages": packages(),
        "environment": environment(device, variables),
        "probes": {"decoders": decoder_versions(), "samples": probe(train)},
    }


def packages() -> dict[str, str]:
    """Every installed distribution and its version."""
    found = {d.metadata["Name"].lower().replace("_", "-"): d.version for d in distributions()}
    return dict(sorted(found.items())) | {"datasets-vc": datasets_vc.__version__}


def environment(device: torch.device, variables: Mapping[str, str]) -> dict[str, Any]:
    """Machine, interpreter and settings, as far as they can change a bit."""
    return {
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "platform": f"{platform.system()} {platform.machine()}",
        "libc": " ".join(platform.libc_ver()),
        "processor": _processor(),
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "threads": torch.get_num_threads(),
        "interop_threads": torch.get_num_interop_threads(),
        "torch": torch.__version__,
        "torch_build": " ".join(torch.__config__.show().split()),
        "device": _device(device),
        "flags": flags(),
        "variables": {name: variables[name] for name in VARIABLES if name in variables},
    }


def probe(dataset: SampleDataset, count: int = _PROBES) -> dict[str, str]:
    """Digests of the first samples as they are decoded here, by path.

    They tell decoders that differ from data that differ.
    """
    found = {}
    for index, (path, _) in enumerate(dataset.sample_ids(range(min(count, len(dataset))))):
        try:
            found[path] = _digest_of_sample(dataset[index])
        except BadSampleError:
            found[path] = "cannot be decoded"
    return found


def params_digest(model: nn.Module) -> str:
    """What names a model's parameters, buffers included: 64 hex digits.

    BLAKE3-256 over, for each tensor in the order of its name: name, type and shape as text, each
    followed by a zero byte, then its bytes.
    """
    hasher = Hasher()
    for name, tensor in sorted(model.state_dict().items()):
        _add(hasher, name, tensor)
    return str(hasher.hexdigest())


def loss_bits(loss: float) -> str:
    """A loss as the hex of its IEEE 754 binary32, big-endian."""
    return struct.pack(">f", loss).hex()


def _digest_of_sample(sample: Mapping[str, Any]) -> str:
    hasher = Hasher()
    for name, value in sorted(sample.items()):
        if isinstance(value, Tensor):
            _add(hasher, name, value)
        else:
            hasher.update(f"{name}\0{value!r}\0".encode())
    return str(hasher.hexdigest())


def _add(hasher: Hasher, name: str, tensor: Tensor) -> None:
    kind = str(tensor.dtype).removeprefix("torch.")
    shape = ",".join(map(str, tensor.shape))
    hasher.update(f"{name}\0{kind}\0{shape}\0".encode())
    hasher.update(tensor.detach().cpu().contiguous().numpy().tobytes())


def _processor() -> str:
    """The model of the processor; Linux says it nowhere but here."""
    info = Path("/proc/cpuinfo")
    if not info.is_file():
        return platform.processor()
    lines = (line.partition(":") for line in info.read_text(encoding="utf-8").splitlines())
    return next((value.strip() for key, _, value in lines if key.strip() == "model name"), "")


def _device(device: torch.device) -> dict[str, Any]:
    if device.type != "cuda":
        return {"type": device.type}
    major, minor = torch.cuda.get_device_capability(device)
    return {
        "type": "cuda",
        "name": torch.cuda.get_device_name(device),
        "capability": f"{major}.{minor}",
        "cuda": torch.version.cuda,
        "cudnn": torch.backends.cudnn.version(),  # type: ignore[no-untyped-call]
    }
