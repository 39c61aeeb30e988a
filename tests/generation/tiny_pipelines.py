"""Pipelines of diffusers of the same classes as the large ones, tiny, with random weights."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import diffusers
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import (
    CLIPTextConfig,
    CLIPTextModel,
    LlamaConfig,
    LlamaModel,
    PreTrainedTokenizerFast,
    SiglipImageProcessor,
    SiglipVisionConfig,
    SiglipVisionModel,
    T5Config,
    T5EncoderModel,
    UMT5Config,
    UMT5EncoderModel,
)

WIDTH = 32


def tokenizer() -> PreTrainedTokenizerFast:
    words = {word: number for number, word in enumerate(["<pad>", "</s>", "<unk>", "a", "red", "circle"])}
    made = Tokenizer(models.WordLevel(words, unk_token="<unk>"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    told = {"pad_token": "<pad>", "eos_token": "</s>", "bos_token": "</s>", "unk_token": "<unk>"}
    return PreTrainedTokenizerFast(tokenizer_object=made, model_max_length=77, **told)


def _t5(config: type = T5Config, model: type = T5EncoderModel) -> Any:
    return model(config(vocab_size=8, d_model=WIDTH, d_kv=8, d_ff=37, num_layers=2, num_heads=4))


def clip_text_encoder() -> CLIPTextModel:
    return CLIPTextModel(
        CLIPTextConfig(
            vocab_size=8, hidden_size=WIDTH, intermediate_size=37, num_hidden_layers=2, num_attention_heads=4,
            max_position_embeddings=77, bos_token_id=1, eos_token_id=1, pad_token_id=0,
        )
    )  # fmt: skip


def _wan_vae() -> Any:
    return diffusers.AutoencoderKLWan(
        base_dim=3, z_dim=16, dim_mult=[1, 1, 1, 1], num_res_blocks=1, temperal_downsample=[False, True, True]
    )


def _wan_transformer(kind: Any, channels: int, **more: Any) -> Any:
    return kind(
        patch_size=(1, 2, 2), num_attention_heads=2, attention_head_dim=12, in_channels=channels, out_channels=16,
        text_dim=WIDTH, freq_dim=256, ffn_dim=32, num_layers=2, cross_attn_norm=True,
        qk_norm="rms_norm_across_heads", rope_max_seq_len=32, **more,
    )  # fmt: skip


def wan() -> Any:
    return diffusers.WanPipeline(
        tokenizer=tokenizer(), text_encoder=_t5(UMT5Config, UMT5EncoderModel), vae=_wan_vae(),
        scheduler=diffusers.FlowMatchEulerDiscreteScheduler(shift=7.0),
        transformer=_wan_transformer(diffusers.WanTransformer3DModel, 16),
    )  # fmt: skip


def wan_from_picture() -> Any:
    return diffusers.WanImageToVideoPipeline(
        tokenizer=tokenizer(), text_encoder=_t5(UMT5Config, UMT5EncoderModel), vae=_wan_vae(),
        scheduler=diffusers.FlowMatchEulerDiscreteScheduler(shift=7.0),
        transformer=_wan_transformer(diffusers.WanTransformer3DModel, 36), image_processor=None, image_encoder=None,
    )  # fmt: skip


def skyreels() -> Any:
    return diffusers.SkyReelsV2DiffusionForcingPipeline(
        tokenizer=tokenizer(), text_encoder=_t5(UMT5Config, UMT5EncoderModel), vae=_wan_vae(),
        scheduler=diffusers.UniPCMultistepScheduler(flow_shift=8.0, use_flow_sigmas=True),
        transformer=_wan_transformer(diffusers.SkyReelsV2Transformer3DModel, 16, inject_sample_info=False),
    )  # fmt: skip


def ltx() -> Any:
    vae = diffusers.AutoencoderKLLTXVideo(
        in_channels=3, out_channels=3, latent_channels=8, block_out_channels=(8,) * 4,
        decoder_block_out_channels=(8,) * 4, layers_per_block=(1,) * 5, decoder_layers_per_block=(1,) * 5,
        spatio_temporal_scaling=(True, True, False, False), decoder_spatio_temporal_scaling=(True, True, False, False),
        decoder_inject_noise=(False,) * 5, upsample_residual=(False,) * 4, upsample_factor=(1,) * 4,
        timestep_conditioning=False, patch_size=1, patch_size_t=1, encoder_causal=True, decoder_causal=False,
    )  # fmt: skip
    transformer = diffusers.LTXVideoTransformer3DModel(
        in_channels=8, out_channels=8, patch_size=1, patch_size_t=1, num_attention_heads=4, attention_head_dim=8,
        cross_attention_dim=WIDTH, num_layers=1, caption_channels=WIDTH,
    )  # fmt: skip
    return diffusers.LTXConditionPipeline(
        transformer=transformer, vae=vae, scheduler=diffusers.FlowMatchEulerDiscreteScheduler(), text_encoder=_t5(),
        tokenizer=tokenizer(),
    )  # fmt: skip


def _cogvideox(pipeline: Any, channels: int, turned: bool) -> Any:
    transformer = diffusers.CogVideoXTransformer3DModel(
        num_attention_heads=2, attention_head_dim=16, in_channels=channels, out_channels=4, time_embed_dim=2,
        text_embed_dim=WIDTH, num_layers=2, sample_width=2, sample_height=2, sample_frames=9, patch_size=2,
        temporal_compression_ratio=4, max_text_seq_length=226, use_rotary_positional_embeddings=turned,
        use_learned_positional_embeddings=turned,
    )  # fmt: skip
    vae = diffusers.AutoencoderKLCogVideoX(
        in_channels=3, out_channels=3, down_block_types=("CogVideoXDownBlock3D",) * 4,
        up_block_types=("CogVideoXUpBlock3D",) * 4, block_out_channels=(8,) * 4, latent_channels=4,
        layers_per_block=1, norm_num_groups=2, temporal_compression_ratio=4,
    )  # fmt: skip
    return pipeline(
        tokenizer=tokenizer(), text_encoder=_t5(), vae=vae, transformer=transformer,
        scheduler=diffusers.DDIMScheduler(),
    )  # fmt: skip


def cogvideox() -> Any:
    return _cogvideox(diffusers.CogVideoXPipeline, 4, False)


def cogvideox_from_picture() -> Any:
    return _cogvideox(diffusers.CogVideoXImageToVideoPipeline, 8, True)


def animatediff() -> Any:
    unet = diffusers.UNet2DConditionModel(
        block_out_channels=(8, 8), layers_per_block=2, sample_size=8, in_channels=4, out_channels=4,
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"), up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        cross_attention_dim=WIDTH, norm_num_groups=2,
    )  # fmt: skip
    vae = diffusers.AutoencoderKL(
        block_out_channels=(8, 8), in_channels=3, out_channels=3, down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2, latent_channels=4, norm_num_groups=2,
    )  # fmt: skip
    motion = diffusers.MotionAdapter(
        block_out_channels=(8, 8), motion_layers_per_block=2, motion_norm_num_groups=2, motion_num_attention_heads=4
    )
    return diffusers.AnimateDiffPipeline(
        vae=vae, text_encoder=clip_text_encoder(), tokenizer=tokenizer(), unet=unet, motion_adapter=motion,
        scheduler=diffusers.DDIMScheduler(beta_schedule="linear", clip_sample=False),
    )  # fmt: skip


def helios() -> Any:
    transformer = diffusers.HeliosTransformer3DModel(
        patch_size=(1, 2, 2), num_attention_heads=2, attention_head_dim=12, in_channels=16, out_channels=16,
        text_dim=WIDTH, freq_dim=256, ffn_dim=32, num_layers=2, rope_dim=(4, 4, 4),
    )  # fmt: skip
    return diffusers.HeliosPipeline(
        tokenizer=tokenizer(), text_encoder=_t5(UMT5Config, UMT5EncoderModel), vae=_wan_vae(), transformer=transformer,
        scheduler=diffusers.HeliosScheduler(stage_range=[0, 1], stages=1, use_dynamic_shifting=True),
    )  # fmt: skip


def framepack() -> Any:
    transformer = diffusers.HunyuanVideoFramepackTransformer3DModel(
        in_channels=4, out_channels=4, num_attention_heads=2, attention_head_dim=10, num_layers=1,
        num_single_layers=1, num_refiner_layers=1, patch_size=2, patch_size_t=1, text_embed_dim=16,
        pooled_projection_dim=WIDTH, rope_axes_dim=(2, 4, 4), has_image_proj=True, image_proj_dim=WIDTH,
        has_clean_x_embedder=True,
    )  # fmt: skip
    vae = diffusers.AutoencoderKLHunyuanVideo(
        latent_channels=4, block_out_channels=(8,) * 4, layers_per_block=1, norm_num_groups=4
    )
    words = LlamaModel(
        LlamaConfig(
            vocab_size=8, hidden_size=16, intermediate_size=37, num_attention_heads=4, num_hidden_layers=4,
            pad_token_id=0,
        )
    )  # fmt: skip
    looks = SiglipVisionModel(
        SiglipVisionConfig(
            hidden_size=WIDTH, intermediate_size=37, num_hidden_layers=2, num_attention_heads=4, image_size=30,
            patch_size=15,
        )
    )  # fmt: skip
    return diffusers.HunyuanVideoFramepackPipeline(
        text_encoder=words, tokenizer=tokenizer(), transformer=transformer, vae=vae,
        scheduler=diffusers.FlowMatchEulerDiscreteScheduler(shift=7.0), text_encoder_2=clip_text_encoder(),
        tokenizer_2=tokenizer(), image_encoder=looks,
        feature_extractor=SiglipImageProcessor(size={"height": 30, "width": 30}),
    )  # fmt: skip


# family: what goes on, what begins (None: the same), side in pixels, frames of a chunk
TINY: dict[str, tuple[Callable[[], Any], Callable[[], Any] | None, int, int]] = {
    "animatediff": (animatediff, None, 16, 16),
    "cogvideox": (cogvideox_from_picture, cogvideox, 16, 9),
    "framepack": (framepack, None, 32, 37),
    "helios": (helios, None, 16, 33),
    "ltx": (ltx, None, 32, 17),
    "skyreels": (skyreels, None, 16, 25),
    "wan": (wan_from_picture, wan, 16, 9),
}


def save(make: Callable[[], Any], folder: Any) -> None:
    torch.manual_seed(0)
    make().save_pretrained(folder)
