"""The published StreamingT2V model (the ModelScope branch): its sizes, and its checkpoint's keys as ours.

The released file is one state dict. `base_model.` is the text-to-video UNet with CAM's attentions
(`cross_attention_merger_*`) and APM's mixers (`conv`, `conv_ln` and `alpha` of every cross-attention) inside it,
`unet.` is CAM's extractor, `resampler.` makes the tokens of the anchor, `image_encoder.` is OpenCLIP's ViT-H-14.
Deviations from the released code are ours: text is always `NUM_TEXT` tokens and the anchor `IMAGE_TOKENS`; the
extractor sees the text alone, as its configuration has it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from torch import Tensor

from reverie.generation.apm import AppearanceModule, cross_attention_names
from reverie.generation.cam import CONDITION_CHANNELS, ConditionalAttentionModule
from reverie.generation.networks import UNet

NUM_TEXT, IMAGE_WIDTH, HIDDEN_WIDTH = 77, 1024, 1280
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
