"""The same bits every time, on the same kind of machine with the same number of threads.

Seeds alone do not do it: some operations add numbers in whatever order their threads finish.
https://docs.pytorch.org/docs/stable/notes/randomness.html
"""

from __future__ import annotations

from typing import Any

import torch

from datasets_vc.errors import InvalidInputError

# Set it in the environment before CUDA starts: cuBLAS and cuDNN's recurrent layers need it.
CUBLAS_VARIABLE = "CUBLAS_WORKSPACE_CONFIG"
CUBLAS_WORKSPACE = ":4096:8"


def make_deterministic() -> None:
    """Allow only deterministic operations, in full precision. Others raise a RuntimeError."""
    # The same as use_deterministic_algorithms(True), which besides loads the compiler, for 2 s.
    torch.set_deterministic_debug_mode("error")
    torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.deterministic = True
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cuda.matmul.allow_tf32 = False


def flags() -> dict[str, Any]:
    """What is set now, for the record."""
    return {
        "deterministic_algorithms": torch.are_deterministic_algorithms_enabled(),
        "cudnn_benchmark": torch.backends.cudnn.benchmark,
        "cudnn_deterministic": torch.backends.cudnn.deterministic,
        "cudnn_tf32": torch.backends.cudnn.allow_tf32,
        "matmul_tf32": torch.backends.cuda.matmul.allow_tf32,
        "matmul_precision": torch.get_float32_matmul_precision(),
    }


def find_device(name: str) -> torch.device:
    """The device of this name; `auto` is cuda if there is one, else cpu.

    Raises:
        InvalidInputError: there is no such device.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise InvalidInputError(
            f"'{name}' is no device.", "Use auto, cpu, cuda or cuda:1."
        ) from error
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise InvalidInputError(f"There is no device '{name}' here.", "Use auto or cpu.")
    return device
