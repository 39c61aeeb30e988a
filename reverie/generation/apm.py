"""The appearance preservation module of StreamingT2V (Henschel et al. 2024, section 4.2).

Over many chunks a generated scene drifts. One early frame, the anchor, is therefore told to every chunk: its image
embedding becomes a few tokens beside those of the text. In each cross-attention of the UNet a convolution over the
tokens mixes both into as many tokens as the text has, and what is attended to is

    text + SiLU(alpha) * LayerNorm(conv([text, image]))

with one learned `alpha` a layer that begins at zero: an untrained module changes nothing. `mixing` puts it in place and
takes it out again. Without image tokens (text alone) a layer attends to the text as if nothing were there.

Shapes: B batch, N tokens of the text (77), M of the image (16), D their width (1024).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from reverie.generation.networks import UNet

IMAGE_TOKENS = 16


class ImageTokens(nn.Module):
    """An image embedding to tokens of the width of the text's: linear, SiLU, linear."""

    def __init__(
        self, image_width: int, text_width: int, hidden_width: int = 1280, num_tokens: int = IMAGE_TOKENS
    ) -> None:
        super().__init__()
        self.num_tokens = num_tokens
        self.expand = nn.Sequential(
            nn.Linear(image_width, hidden_width), nn.SiLU(), nn.Linear(hidden_width, num_tokens * text_width)
        )

    def forward(self, embedding: Float[Tensor, "b e"]) -> Float[Tensor, "b m d"]:
        return torch.as_tensor(self.expand(embedding).unflatten(-1, (self.num_tokens, -1)))


class TokenMixer(nn.Module):
    """What one cross-attention attends to, from the tokens of text and image."""

    def __init__(self, num_text: int, num_image: int, width: int) -> None:
        super().__init__()
        self.num_text = num_text
        self.conv = nn.Conv1d(num_text + num_image, num_text, kernel_size=3, padding=1)  # tokens are its channels
        self.norm = nn.LayerNorm(width)
        self.alpha = nn.Parameter(torch.zeros(()))

    def forward(self, tokens: Float[Tensor, "b t d"]) -> Float[Tensor, "b n d"]:
        text = tokens[:, : self.num_text]
        if tokens.shape[1] == self.num_text:
            return text
        return torch.as_tensor(text + nn.functional.silu(self.alpha) * self.norm(self.conv(tokens)))


class AppearanceModule(nn.Module):
    """APM: tokens of the anchor, and a mixer for each cross-attention of the UNet.

    Args:
        unet: a `UNet3DConditionModel`; it is read, never held or changed.
        num_text: tokens of the text.
        image_width: of the embedding of the anchor.
    """

    def __init__(
        self,
        unet: UNet,
        num_text: int,
        image_width: int,
        hidden_width: int = 1280,
        num_image: int = IMAGE_TOKENS,
    ) -> None:
        super().__init__()
        width = unet.config.cross_attention_dim
        self.image_tokens = ImageTokens(image_width, width, hidden_width, num_image)
        num_layers = len(cross_attention_names(unet))
        self.mixers = nn.ModuleList(TokenMixer(num_text, num_image, width) for _ in range(num_layers))

    def forward(self, text: Float[Tensor, "b n d"], embedding: Float[Tensor, "b e"]) -> Float[Tensor, "b t d"]:
        """The tokens that a mixing UNet takes for its text."""
        return torch.cat([text, self.image_tokens(embedding)], dim=1)

    @contextmanager
    def mixing(self, unet: UNet) -> Iterator[None]:
        """Cross-attentions of this UNet mix in the image inside; afterwards they are as they were."""
        layers = [unet.get_submodule(name) for name in cross_attention_names(unet)]
        before = [layer.processor for layer in layers]
        try:
            for layer, processor, mixer in zip(layers, before, self.mixers, strict=True):
                layer.set_processor(_Mixing(processor, mixer))
            yield
        finally:
            for layer, processor in zip(layers, before, strict=True):
                layer.set_processor(processor)


class _Mixing:
    """An attention processor that mixes tokens before it lets another one attend to them."""

    def __init__(self, processor: Any, mixer: nn.Module) -> None:
        self._processor, self._mixer = processor, mixer

    def __call__(
        self, attention: nn.Module, hidden_states: Tensor, encoder_hidden_states: Tensor, *args: Any, **kwargs: Any
    ) -> Tensor:
        return torch.as_tensor(
            self._processor(attention, hidden_states, self._mixer(encoder_hidden_states), *args, **kwargs)
        )


def cross_attention_names(unet: UNet) -> list[str]:
    """The attentions of a UNet to its text, downwards, upwards, then in the middle, as its modules are listed."""
    return [
        name
        for name, module in unet.named_modules()
        if name.endswith("attn2") and ".temp_attentions." not in name and not name.startswith("transformer_in")
        and module.is_cross_attention
    ]  # fmt: skip
