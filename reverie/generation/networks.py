"""What is built of diffusers: UNets, autoencoders, schedulers, attention. The one file that imports it, and lazily."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from torch import nn

from reverie.errors import GenerationError, ModelError

Offload = Literal["none", "model", "group"]
UNet = Any  # a UNet3DConditionModel: diffusers has no types to check against


def build_unet(**config: Any) -> UNet:
    """A UNet over (B, C, F, H, W) latents: spatial and temporal convolutions and attentions in turn."""
    import diffusers

    model: Any = diffusers.UNet3DConditionModel
    return model(**config)


def build_vae(**config: Any) -> Any:
    """A variational autoencoder over single frames."""
    import diffusers

    model: Any = diffusers.AutoencoderKL
    return model(**config)


def build_scheduler(name: str, **config: Any) -> Any:
    """A scheduler of diffusers by the name of its class."""
    import diffusers

    return getattr(diffusers, name)(**config)


def build_ema(parameters: Iterable[nn.Parameter], decay: float) -> Any:
    """An exponential moving average of parameters, which begins quickly."""
    from diffusers.training_utils import EMAModel

    return EMAModel(parameters, decay=decay, use_ema_warmup=True, power=0.75)


def cross_attention(query_channels: int, condition_channels: int, head_channels: int) -> nn.Module:
    """Multi-head attention of (N, T, C) queries to (N, S, D) conditions, without a bias on what is projected in."""
    from diffusers.models.attention_processor import Attention

    return Attention(
        query_dim=query_channels, cross_attention_dim=condition_channels,
        heads=query_channels // head_channels, dim_head=head_channels,
    )  # fmt: skip


def load_pipeline(
    name: str, folder: Path, *, device: str, dtype: str, offload: Offload, vae_tiling: bool, attention: str
) -> Any:
    """A pipeline of diffusers by the name of its class, ready on a device.

    Raises:
        ModelError: the folder is not there or holds no safetensors, or a package is missing.
        GenerationError: the GPU has too little memory for it.
    """
    import diffusers
    import torch

    if not (folder / "model_index.json").is_file():
        raise ModelError(f"there are no weights at {folder}: put a folder there as `save_pretrained` writes it")
    try:
        pipeline = getattr(diffusers, name).from_pretrained(
            folder, dtype=getattr(torch, dtype), use_safetensors=True, local_files_only=True
        )
    except (OSError, ValueError, ImportError) as error:
        raise ModelError(f"{folder} cannot be read as a {name} ({error})") from error
    pipeline.set_progress_bar_config(disable=True)
    if vae_tiling:
        pipeline.vae.enable_tiling()
    if attention:
        (getattr(pipeline, "transformer", None) or pipeline.unet).set_attention_backend(attention)
    with out_of_memory_told(pipeline, offload):
        if device == "cpu" or offload == "none":
            pipeline.to(device)
        elif offload == "model":
            pipeline.enable_model_cpu_offload(device=device)
        else:
            pipeline.enable_group_offload(onload_device=torch.device(device), offload_type="leaf_level")
    return pipeline


def load_part(folder: Path, part: str, name: str, dtype: Any = None) -> Any:
    """One part of a pipeline's folder by the name of its class, of diffusers or transformers, on the CPU.

    Raises:
        ModelError: it is not there, is no safetensors, or a package is missing.
    """
    import diffusers

    try:
        if hasattr(diffusers, name):
            kind = getattr(diffusers, name)
        else:
            import transformers

            kind = getattr(transformers, name)
        told = {} if dtype is None else {"dtype": dtype, "use_safetensors": True}
        return kind.from_pretrained(folder / part, local_files_only=True, **told)
    except (OSError, ValueError, ImportError) as error:
        raise ModelError(f"{folder / part} cannot be read as a {name} ({error})") from error


def sharing(name: str, pipeline: Any) -> Any:
    """Another pipeline over the networks of one."""
    import diffusers

    if type(pipeline).__name__ == name:
        return pipeline
    made = getattr(diffusers, name).from_pipe(pipeline)
    made.set_progress_bar_config(disable=True)
    return made


def sizes_gb(pipeline: Any) -> dict[str, float]:
    """What each network of a pipeline weighs."""
    return {
        name: sum(tensor.numel() * tensor.element_size() for tensor in part.parameters()) / 1e9
        for name, part in pipeline.components.items()
        if isinstance(part, nn.Module)
    }


@contextmanager
def out_of_memory_told(pipeline: Any, offload: Offload) -> Iterator[None]:
    """A GPU that is too small is an error that says what would fit."""
    import torch

    try:
        yield
    except torch.cuda.OutOfMemoryError as error:
        sizes = sizes_gb(pipeline)
        parts = ", ".join(f"{name} {size:.1f}" for name, size in sorted(sizes.items(), key=lambda part: -part[1]))
        free_gb = torch.cuda.mem_get_info()[0] / 1e9
        advice = {
            "none": f"offload: model needs {max(sizes.values()):.1f} GB and what it computes with; else offload: group",
            "model": "offload: group needs one block at a time",
            "group": "make chunks shorter or frames smaller, or decode with vae_tiling",
        }[offload]
        raise GenerationError(
            f"the GPU has too little memory: {free_gb:.1f} GB are free, and the networks take "
            f"{sum(sizes.values()):.1f} GB ({parts}). {advice}"
        ) from error


def alpha_blender(begin: float) -> nn.Module:
    """Alpha x + (1 - alpha) y of two inputs, with alpha the sigmoid of a learned number."""
    from diffusers.models.resnet import AlphaBlender

    return AlphaBlender(alpha=begin, merge_strategy="learned")
