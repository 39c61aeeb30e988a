"""Our StreamingT2V beside the released one: the same random weights and inputs, the largest difference of every part.

    python benchmarks/parity.py --data FOLDER [--json]

FOLDER is a checkout of the branch `StreamingModelscope` of github.com/Picsart-AI-Research/StreamingT2V. Its modules
are imported as they are; besides ours they need einops, kornia, pytorch_lightning, jsonargparse and torchsde. Two
things that they ask for are put in their place: the old path of diffusers' temporal transformer, and xformers'
attention, which is PyTorch's.

What is compared, on a UNet of four levels with 64 and 128 channels:

- the encoder of frames (E_cond), and CAM's extractor: all twelve features and the middle one;
- the whole UNet with CAM's attentions and APM's mixers, all weights drawn at random, alphas too;
- the tokens of the anchor;
- blending: what the released sweep makes of the same predictions, for the thresholds that it drew.

Weights go from theirs to ours through `load_published`, so the names of the published checkpoint are read as well.
"""

from __future__ import annotations

import importlib
import random
import sys
import types
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor, nn

from benchmarks.report import arguments, publish, table
from reverie.generation.blending import chunks_of, stitch
from reverie.generation.networks import build_unet
from reverie.generation.streaming_t2v import IMAGE_WIDTH, NUM_TEXT, attach, load_published

_CONTROL = "t2v_enhanced.model.diffusers_conditional.models.controlnet"
_SDEDIT = "t2v_enhanced/thirdparty/modelscope/models/multi_modal/video_to_video/utils"
_CHANNELS, _CONDITION, _HEAD, _TEXT_WIDTH = (64, 64, 128, 128), (16, 32, 32, 64), 16, 1024
_FRAMES, _PAST = 16, 8
_LIMIT = 1e-5


def main() -> None:
    options = arguments(__doc__)
    _make_importable(options.data)
    torch.manual_seed(0)
    torch.set_grad_enabled(False)
    theirs = _their_networks()
    found = {**_compare_networks(*theirs), "blending": _compare_blending()}
    rows = [[part, f"{difference:.1e}", f"{size:.2f}"] for part, (difference, size) in found.items()]
    headings = ["part", "largest difference", "largest value"]
    publish("parity", "Beside the released StreamingT2V", table(headings, rows), found, options.json)
    worst = max(difference / max(size, 1.0) for difference, size in found.values())
    sys.exit(0 if worst < _LIMIT else f"differs by {worst:.1e}, more than {_LIMIT}")


def _make_importable(checkout: Path) -> None:
    """What the released modules import and this environment does not have under that name."""
    from diffusers.models.transformers import transformer_temporal
    from diffusers.utils import import_utils

    ops = types.ModuleType("xformers.ops")
    ops.memory_efficient_attention = lambda q, k, v, attn_bias, op, scale: nn.functional.scaled_dot_product_attention(
        q, k, v, attn_mask=attn_bias, scale=scale
    )
    xformers = types.ModuleType("xformers")
    xformers.ops = ops
    sys.modules.update({"xformers": xformers, "xformers.ops": ops})
    sys.modules["diffusers.models.transformer_temporal"] = transformer_temporal
    import_utils.is_xformers_available = lambda: True
    sys.path.insert(0, str(checkout))
    sdedit = types.ModuleType("sdedit")  # its folder alone: the packages around it ask for all of modelscope
    sdedit.__path__ = [str(checkout / _SDEDIT)]
    sys.modules["sdedit"] = sdedit


def _theirs(name: str) -> Any:
    return importlib.import_module(f"{_CONTROL}.{name}")


def _their_networks() -> tuple[nn.Module, nn.Module, nn.Module]:
    """The released UNet, extractor and resampler, with random weights everywhere (nothing at zero)."""
    encoder = type("FrozenOpenCLIPImageEmbedder", (), {})()
    params = types.SimpleNamespace(
        use_of=False, concat=False, use_image_tokens_main=True, use_image_tokens_ctrl=False, image_encoder=encoder,
        temporal_self_attention_only_on_conditioning=False, temporal_self_attention_mask_included_itself=False,
        attention_mask_params=None, attention_mask_params_base=None, num_frames=_FRAMES,
        num_frame_conditioning=_PAST, spatial_latent_input=False, use_image_encoder_normalization=False,
    )  # fmt: skip
    sizes = {"block_out_channels": _CHANNELS, "cross_attention_dim": _TEXT_WIDTH, "attention_head_dim": _HEAD}
    unet = _theirs("unet_3d_condition").UNet3DConditionModel(
        **sizes, sample_size=8, use_image_embedding=True, merging_mode="attention_cross_attention", unet_params=params
    )
    extractor = _theirs("controlnet").ControlNetModel(
        **sizes, conditioning_embedding_out_channels=_CONDITION, num_frames=_PAST, num_frame_conditioning=_PAST,
        frame_expansion="none", zero_conv_mode="Identity", merging_mode="addition", unet_params=params,
    )  # fmt: skip
    resampler = _theirs("image_embedder").ImgEmbContextResampler()
    masks = types.SimpleNamespace(
        temp_attend_on_neighborhood_of_condition_frames=False, spatial_attend_on_condition_frames=False
    )
    for network in (unet, extractor, resampler):
        for parameter in network.parameters():
            if parameter.abs().max() == 0:  # so that nothing is left out: zero projections, and alphas
                nn.init.normal_(parameter, std=0.2)
        network.eval()
    for network in (unet, extractor):
        _theirs("processor").set_use_memory_efficient_attention_xformers(network, _PAST, _FRAMES, masks)
    return unet, extractor, resampler


def _compare_networks(unet: nn.Module, extractor: nn.Module, resampler: nn.Module) -> dict[str, tuple[float, float]]:
    ours = build_unet(
        block_out_channels=_CHANNELS, cross_attention_dim=_TEXT_WIDTH, attention_head_dim=_HEAD, sample_size=8
    ).eval()
    cam, apm = (module.eval() for module in attach(ours, _CONDITION))
    published = {
        f"{part}.{name}": tensor
        for part, network in (("base_model", unet), ("unet", extractor), ("resampler", resampler))
        for name, tensor in network.state_dict().items()
    }
    load_published(published, ours, cam, apm)

    noisy, timestep = torch.randn(2, 4, _FRAMES, 8, 8), torch.tensor([981, 20])
    past, look = torch.rand(2, 3, _PAST, 64, 64) * 2 - 1, torch.randn(2, IMAGE_WIDTH)
    text = torch.randn(2, NUM_TEXT, _TEXT_WIDTH)
    flat = past.transpose(1, 2).flatten(0, 1)
    tokens = torch.cat([text, resampler(look[:, None])], dim=1)
    skips, middle = extractor(noisy, timestep, tokens, flat, return_dict=False)
    features = cam(noisy[:, :, :_PAST], timestep, text, past)
    whole = unet(
        noisy, timestep, tokens, down_block_additional_residuals=skips, mid_block_additional_residual=middle
    ).sample
    with cam.injecting(ours, features), apm.mixing(ours):
        our_whole = ours(noisy, timestep, apm(text, look)).sample
    with apm.mixing(ours):
        without_past = ours(noisy, timestep, apm(text, look)).sample
    return {
        "encoder of frames": _difference(
            extractor.controlnet_cond_embedding(flat), cam.extractor.encode_frames(flat)
        ),
        "extractor, all features": _difference(torch.cat([f.flatten() for f in (*skips, middle)]),
                                               torch.cat([f.flatten() for f in features])),
        "tokens of the anchor": _difference(tokens, apm(text, look)),
        "UNet with APM": _difference(unet(noisy, timestep, tokens).sample, without_past),
        "UNet with CAM and APM": _difference(whole, our_whole),
    }  # fmt: skip


def _compare_blending() -> tuple[float, float]:
    """One sweep of the released code over a long latent, and ours with the thresholds that it drew."""
    released = importlib.import_module("sdedit.diffusion_sdedit")
    sigmas = torch.linspace(0.03, 0.999, 1000)
    diffusion = released.GaussianDiffusion_SDEdit(sigmas, "x0")
    latents, chunk, overlap = torch.randn(1, 4, 56, 4, 4), 24, 8

    def predict(xt: Tensor, t: Tensor) -> Tensor:
        return xt.mean(dim=2, keepdim=True) * (t.view(-1, 1, 1, 1, 1) / 500) + xt.flip(2)

    swept = {}

    def one_step(noise: Tensor, model_fn: Any, sigmas: Tensor, **_options: Any) -> Tensor:
        swept["t"] = diffusion._sigma_to_t(sigmas[1]).round().long()
        random.seed(5)
        return model_fn(noise, sigmas[1], 0)

    with patch.object(released, "sample_dpmpp_2m_sde", one_step):
        theirs = diffusion.sample(
            latents, predict, steps=5, solver="dpmpp_2m_sde", chunk_size=chunk, overlap_size=overlap, model_kwargs={}
        )
    at = chunks_of(latents.shape[2], chunk, overlap)
    random.seed(5)
    drawn = [random.randint(0, overlap - 1) for _ in at[1:]]
    ours = stitch([predict(latents[:, :, where], swept["t"]) for where in at], at, drawn)
    return _difference(theirs, ours)


def _difference(theirs: Tensor, ours: Tensor) -> tuple[float, float]:
    return float((theirs - ours).abs().max()), float(theirs.abs().max())


if __name__ == "__main__":
    main()
