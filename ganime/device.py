"""Where and how exactly to compute."""

from typing import Literal

import torch

from ganime.errors import ConfigError

Device = Literal["auto", "cpu", "cuda"]
Precision = Literal["auto", "fp32", "bf16"]


def choose_device(device: Device) -> torch.device:
    """The device that `auto` means here: CUDA where there is one.

    Raises:
        ConfigError: CUDA was asked for and there is none.
    """
    if device == "cuda" and not torch.cuda.is_available():
        raise ConfigError("device is cuda but torch sees no CUDA device; set device to auto or cpu")
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(device)


def uses_bfloat16(precision: Precision, device: torch.device) -> bool:
    """Whether to compute in bfloat16; `auto` does where it is faster: CUDA, CPUs with AMX."""
    if precision != "auto":
        return precision == "bf16"
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported())
    return bool(torch.cpu.get_capabilities().get("amx_bf16"))
