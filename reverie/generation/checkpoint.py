"""Weights of the small model on disk: one safetensors file of fp16, and the configuration that they fit, in its header.

Safetensors holds numbers only; a pickle runs code when it is read, so none is ever opened.
"""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path

import torch
from pydantic import ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from reverie.errors import ModelError
from reverie.generation.student import merge
from reverie.generation.world_model import WorldModel, WorldModelConfig

SHIPPED = Path(str(files("reverie.generation"))) / "data" / "world.safetensors"


def save(model: WorldModel, path: Path, told: dict[str, str] | None = None) -> None:
    """Write a model, atomically; `told` (seed, steps, ...) goes into the header beside its configuration.

    An adapter in its layers is left out.
    """
    tensors = {
        name.replace(".base_layer.", "."): tensor.detach().cpu().half().contiguous()
        for name, tensor in model.state_dict().items()
        if ".lora_" not in name
    }
    temporary = path.with_suffix(".partial")
    save_file(tensors, temporary, {**(told or {}), "config": model.config.model_dump_json()})
    temporary.replace(path)


def load(path: Path, student: Path | None = None) -> WorldModel:
    """The model of a file, in fp32, on the CPU, for inference; with a student's adapter merged into its UNet.

    Raises:
        ModelError: there is no such file, it is no safetensors file, or it holds another model.
    """
    header, tensors = _read(path)
    try:
        config = WorldModelConfig.model_validate_json(header.get("config", ""))
    except ValidationError as error:
        raise ModelError(f"{path} holds no model of the measurable world: {error.errors()[0]['msg']}") from error
    model = WorldModel(config)
    wanted = model.state_dict()
    unlike = sorted(
        name
        for name in wanted.keys() | tensors.keys()
        if name not in wanted or name not in tensors or wanted[name].shape != tensors[name].shape
    )
    if unlike:
        raise ModelError(
            f"{path} does not fit its own configuration: {len(unlike)} tensors are missing, unknown or of another "
            f"shape, {unlike[0]} first. Train it anew, or name another file"
        )
    model.load_state_dict({name: tensor.to(wanted[name].dtype) for name, tensor in tensors.items()})
    if student is not None:
        try:
            merge(model.unet, _read(student)[1])
        except (KeyError, ValueError) as error:
            raise ModelError(f"{student} is no student of {path} ({error}): train it anew from it") from error
    return model.eval().requires_grad_(False)


def told(path: Path) -> dict[str, str]:
    """What was written beside the weights. Raises ModelError as `load` does."""
    return _read(path, tensors=False)[0]


def _read(path: Path, tensors: bool = True) -> tuple[dict[str, str], dict[str, torch.Tensor]]:
    if not path.is_file():
        raise ModelError(f"there is no model at {path}: check the path")
    if path.suffix != ".safetensors":
        raise ModelError(f"{path.name} is refused: weights are read from .safetensors files, which cannot run code")
    try:
        with safe_open(path, framework="pt") as file:
            names = file.keys() if tensors else ()
            return file.metadata() or {}, {name: file.get_tensor(name) for name in names}
    except (SafetensorError, json.JSONDecodeError, OSError) as error:
        raise ModelError(f"{path} cannot be read as safetensors ({error}): copy it again") from error
