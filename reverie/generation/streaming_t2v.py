"""The published StreamingT2V model (the ModelScope branch): its sizes, and its checkpoint's keys as ours.

The released file is one state dict. `base_model.` is the text-to-video UNet with CAM's attentions
(`cross_attention_merger_*`) and APM's mixers (`conv`, `conv_ln` and `alpha` of every cross-attention) inside it,
`unet.` is CAM's extractor, `resampler.` makes the tokens of the anchor, `image_encoder.` is OpenCLIP's ViT-H-14;
`ImageEncoder` builds that to the sizes of its tensors. Deviations from the released code are ours: pictures are scaled
by PyTorch; text is always `NUM_TEXT` tokens and the anchor `IMAGE_TOKENS`; the extractor sees the text alone, as its
configuration has it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import torch
from jaxtyping import Float
from torch import Tensor, nn

from reverie.generation.apm import AppearanceModule, cross_attention_names
from reverie.generation.cam import CONDITION_CHANNELS, ConditionalAttentionModule
from reverie.generation.networks import UNet

NUM_TEXT, IMAGE_WIDTH, HIDDEN_WIDTH = 77, 1024, 1280
_VISUAL, _HEAD_WIDTH = "image_encoder.model.visual.", 80
_CLIP_MEAN, _CLIP_DEVIATION = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
_MERGER = re.compile(r"cross_attention_merger_(?:down_blocks\.(\d+)|mid_block)\.temporal_transformer\.(.+)")
_MIXER = re.compile(r"(.+\.attn2)\.(conv|conv_ln|alpha)(\..+)?")


def attach(
    unet: UNet, condition_channels: tuple[int, ...] = CONDITION_CHANNELS
) -> tuple[ConditionalAttentionModule, AppearanceModule]:
    """CAM and APM of the published sizes for a UNet."""
    return ConditionalAttentionModule(unet, condition_channels), AppearanceModule(
        unet, NUM_TEXT, IMAGE_WIDTH, HIDDEN_WIDTH
    )


def load_published(
    state: Mapping[str, Tensor], unet: UNet, cam: ConditionalAttentionModule, apm: AppearanceModule
) -> dict[str, Tensor]:
    """Put the tensors of a published checkpoint where they belong.

    Args:
        state: the checkpoint's `state_dict`.
        unet: a `UNet3DConditionModel` of the checkpoint's sizes.
        cam: for this UNet.
        apm: for this UNet.

    Returns:
        What is left: the image encoder's tensors, under their own names.

    Raises:
        RuntimeError: tensors are missing, unknown or of another shape.
    """
    layers = {name: index for index, name in enumerate(cross_attention_names(unet))}
    parts: dict[str, dict[str, Tensor]] = {"unet": {}, "cam": {}, "apm": {}, "image_encoder": {}}
    for key, tensor in state.items():
        part, _, name = key.partition(".")
        if part == "base_model" and (found := _MERGER.fullmatch(name)):
            where = "middle" if found[1] is None else f"skips.{found[1]}"
            parts["cam"][f"{where}.{found[2]}"] = tensor
        elif part == "base_model" and (found := _MIXER.fullmatch(name)):
            what = {"conv_ln": "norm"}.get(found[2], found[2])
            parts["apm"][f"mixers.{layers[found[1]]}.{what}{found[3] or ''}"] = tensor
        elif part == "base_model":
            parts["unet"][name] = tensor
        elif part == "unet":
            parts["cam"][f"extractor.{name.replace('controlnet_cond_embedding', 'encode_frames')}"] = tensor
        elif part == "resampler":
            parts["apm"][name.replace("context_embedding", "image_tokens.expand")] = tensor
        else:
            parts["image_encoder"][key] = tensor
    unet.load_state_dict(parts["unet"])
    cam.load_state_dict(parts["cam"])
    apm.load_state_dict(parts["apm"])
    return parts["image_encoder"]


class ImageEncoder(nn.Module):
    """The anchor's encoder, from its tensors as `load_published` leaves them."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, tensors: Mapping[str, Tensor]) -> None:
        from open_clip.transformer import VisionTransformer

        super().__init__()
        visual = {key.removeprefix(_VISUAL): tensor for key, tensor in tensors.items() if key.startswith(_VISUAL)}
        width, _, _, patch = visual["conv1.weight"].shape
        self._side = round((len(visual["positional_embedding"]) - 1) ** 0.5) * patch
        self.visual = VisionTransformer(
            image_size=self._side, patch_size=patch, width=width, heads=width // _HEAD_WIDTH,
            layers=sum(key.endswith("ln_1.weight") for key in visual), output_dim=visual["proj"].shape[1],
            mlp_ratio=len(visual["transformer.resblocks.0.mlp.c_fc.weight"]) / width,
        )  # fmt: skip
        self.visual.load_state_dict(visual)
        self.register_buffer("mean", torch.tensor(_CLIP_MEAN).reshape(3, 1, 1), persistent=False)
        self.register_buffer("deviation", torch.tensor(_CLIP_DEVIATION).reshape(3, 1, 1), persistent=False)

    def forward(self, frames: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b e"]:
        """Of frames in [-1, 1]."""
        scaled = nn.functional.interpolate(frames, (self._side, self._side), mode="bicubic", antialias=True)
        return torch.as_tensor(self.visual(((scaled + 1) / 2 - self.mean) / self.deviation))
