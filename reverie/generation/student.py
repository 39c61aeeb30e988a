"""A student of the small model's UNet: an adapter of low rank that is trained beside it, and merged for use.

While it is trained the UNet is teacher, student and target in turn: without the adapter, with it, and with the average
of what it was.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from reverie.generation.networks import UNet

RANK, ALPHA = 16, 16
TARGETS = (
    r".*(attentions|transformer_in).*\.(to_q|to_k|to_v|to_out\.0|net\.0\.proj|net\.2|proj_in|proj_out)"
    r"|.*resnets.*\.(conv1|conv2)"
)
_NAME = "student"


class Student:
    """The adapter of a UNet, which is changed in place.

    Args:
        unet: the teacher.
        decay: of the average that is the target.
        seed: of the adapter's random half.
    """

    def __init__(self, unet: UNet, decay: float = 0.95, seed: int = 0) -> None:
        from peft import LoraConfig, inject_adapter_in_model

        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            told = LoraConfig(r=RANK, lora_alpha=ALPHA, target_modules=TARGETS)
            inject_adapter_in_model(told, unet, adapter_name=_NAME)
        self._layers = [module for module in unet.modules() if hasattr(module, "enable_adapters")]
        self._named = {name: p for name, p in unet.named_parameters() if f".{_NAME}." in name}
        self._decay = decay
        self.begin()

    @property
    def parameters(self) -> list[nn.Parameter]:
        return list(self._named.values())

    def begin(self) -> None:
        """The average begins with what the student is now."""
        self._average = [parameter.detach().clone() for parameter in self.parameters]

    @torch.no_grad()
    def follow(self) -> None:
        """The average goes a step towards the student."""
        for average, parameter in zip(self._average, self.parameters, strict=True):
            average.lerp_(parameter.to(average), 1 - self._decay)

    @contextmanager
    def teaching(self) -> Iterator[None]:
        """The UNet is the teacher."""
        for layer in self._layers:
            layer.enable_adapters(False)
        try:
            yield
        finally:
            for layer in self._layers:
                layer.enable_adapters(True)
            for parameter in self.parameters:
                parameter.requires_grad_(True)

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """The UNet is the target. Not between a forward pass and its backward one."""
        own = [parameter.detach().clone() for parameter in self.parameters]
        self._put(self._average)
        try:
            yield
        finally:
            self._put(own)

    def tensors(self) -> dict[str, Tensor]:
        """The adapter by its layers: `LAYER.a` and `LAYER.b`."""
        kept = {}
        for name, parameter in self._named.items():
            layer, _, rest = name.partition(".lora_")
            kept[f"{layer}.{rest[0].lower()}"] = parameter.detach().cpu().half().contiguous()
        return kept

    @torch.no_grad()
    def _put(self, tensors: list[Tensor]) -> None:
        for parameter, tensor in zip(self.parameters, tensors, strict=True):
            parameter.copy_(tensor)


@torch.no_grad()
def merge(unet: UNet, adapter: Mapping[str, Tensor]) -> None:
    """Add a student's adapter to the weights of a UNet that has none.

    Raises:
        ValueError: it is the adapter of another UNet.
    """
    layers = dict(unet.named_modules())
    for name in sorted({key.rsplit(".", 1)[0] for key in adapter}):
        layer = layers.get(name)
        a, b = adapter[f"{name}.a"].float(), adapter[f"{name}.b"].float()
        change = b.flatten(1) @ a.flatten(1) * (ALPHA / len(a))
        if layer is None or layer.weight.numel() != change.numel():
            raise ValueError(f"the student's layer {name!r} does not fit this model")
        layer.weight += change.reshape(layer.weight.shape).to(layer.weight)
