"""A model in the shape of Wan 1.3B (SkyReels-V2's), with random weights, behind a session, against its work's floor.

    python benchmarks/large_model_speed.py [--small] [--chunks 3] [--steps 10] [--json]

Chunks of 81 frames of 480 x 832, bfloat16, each going on from seventeen frames. The floor of a forward pass is the
number of its floating-point operations (counted by PyTorch without computing) over the rate at which this device
multiplies two large matrices, measured in the same run. Beside it: time to the first clip, time of a chunk, frames a
second, all of a chunk over the summed time of its networks, and what the session adds to what the pipeline takes.
Random weights are as quick as trained ones. Needs a GPU with 16 GB; `--small` is a model of the same classes for any
machine.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import diffusers
import numpy as np
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from torch.utils.flop_counter import FlopCounterMode
from transformers import PreTrainedTokenizerFast, UMT5Config, UMT5EncoderModel

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.report import arguments, progress, publish, table
from reverie.generation.hub import HubChunks, HubConfig
from reverie.generation.session import Imagination

SHAPES = {
    False: {"num_attention_heads": 12, "attention_head_dim": 128, "ffn_dim": 8960, "num_layers": 30, "text_dim": 4096},
    True: {"num_attention_heads": 2, "attention_head_dim": 12, "ffn_dim": 32, "num_layers": 2, "text_dim": 32},
}
VAES = {
    False: {},
    True: {"base_dim": 3, "dim_mult": [1, 1, 1, 1], "num_res_blocks": 1},
}
TEXT_TOKENS = 512


def transformer_of(small: bool) -> Any:
    return diffusers.SkyReelsV2Transformer3DModel(
        patch_size=(1, 2, 2), in_channels=16, out_channels=16, freq_dim=256, cross_attn_norm=True,
        qk_norm="rms_norm_across_heads", inject_sample_info=False, **SHAPES[small],
    )  # fmt: skip


def save_random(folder: Path, small: bool, dtype: torch.dtype) -> None:
    """A pipeline with random weights. Its text encoder has one layer, and words of the transformer's width."""
    words = Tokenizer(models.WordLevel({"<pad>": 0, "</s>": 1, "<unk>": 2}, unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    width = SHAPES[small]["text_dim"]
    text = UMT5Config(vocab_size=8, d_model=width, d_kv=8, d_ff=64, num_layers=1, num_heads=4)
    pipeline = diffusers.SkyReelsV2DiffusionForcingPipeline(
        tokenizer=PreTrainedTokenizerFast(tokenizer_object=words, pad_token="<pad>", eos_token="</s>"),
        text_encoder=UMT5EncoderModel(text), vae=diffusers.AutoencoderKLWan(**VAES[small]),
        scheduler=diffusers.UniPCMultistepScheduler(flow_shift=8.0, use_flow_sigmas=True),
        transformer=transformer_of(small),
    )  # fmt: skip
    pipeline.to(dtype).save_pretrained(folder)


def operations(config: HubConfig, small: bool) -> int:
    """Floating-point operations of one forward pass over a chunk."""
    shape = (16, (config.chunk_frames - 1) // 4 + 1, config.height // 8, config.width // 8)
    with torch.device("meta"), FlopCounterMode(display=False) as counter, torch.no_grad():
        text = torch.empty(1, TEXT_TOKENS, SHAPES[small]["text_dim"])
        transformer_of(small)(torch.empty(1, *shape), torch.empty(1), text)
    return int(counter.get_total_flops())


def matrix_rate(device: str, dtype: torch.dtype, side: int) -> float:
    """Operations a second of a product of square matrices, the best of ten."""
    a, b = (torch.randn(side, side, device=device, dtype=dtype) for _ in range(2))
    return 2 * side**3 / min(timed(lambda: a @ b)[1] for _ in range(10))


def timed(call: Callable[[], Any]) -> tuple[Any, float]:
    """What a call gives, and its seconds, a GPU's work included."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    started = time.perf_counter()
    made = call()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return made, time.perf_counter() - started


def watch_calls(owner: Any, name: str, spent: list[float]) -> None:
    """Every call of a method of `owner` leaves its seconds in `spent`."""
    call = getattr(owner, name)

    def watched(*args: Any, **options: Any) -> Any:
        made, seconds = timed(lambda: call(*args, **options))
        spent.append(seconds)
        return made

    setattr(owner, name, watched)


def main() -> None:
    args = arguments(
        __doc__, small={"action": "store_true"}, chunks={"type": int, "default": 3}, steps={"type": int, "default": 10}
    )
    device = "cuda" if torch.cuda.is_available() else "cpu"
    dtype = torch.bfloat16 if device == "cuda" else torch.float32
    told = (
        {"height": 32, "width": 48, "chunk_frames": 25}
        if args.small
        else {"height": 480, "width": 832, "chunk_frames": 81}
    )
    config = HubConfig(family="skyreels", num_steps=args.steps, dtype=str(dtype).removeprefix("torch."), **told)
    folder = args.work / f"random-{'small' if args.small else 'large'}"
    if not folder.exists():
        save_random(folder, args.small, dtype)
    work, rate = operations(config, args.small), matrix_rate(device, dtype, 8192 if device == "cuda" else 1024)
    progress(f"{work / 1e12:.2f} TFLOP a forward pass, {rate / 1e12:.2f} TFLOP/s in a product of matrices")

    model = HubChunks(config, folder, device=device)
    networks: list[float] = []
    passes: list[float] = []
    calls: list[float] = []
    pipelines = {id(part): part for part in (model._first, model._going_on)}.values()
    first = next(iter(pipelines))
    watch_calls(first.transformer, "forward", passes)
    for name in ("encode", "decode"):
        watch_calls(first.vae, name, networks)
    watch_calls(first.text_encoder, "forward", networks)
    for name in ("_first", "_going_on"):
        pipeline = getattr(model, name)
        setattr(model, name, lambda pipeline=pipeline, **told: _called(pipeline, told, calls))
    session = Imagination(model, prompt="a red circle", seed=1)
    _, first_s = timed(session.next_clip)
    for kept in (networks, passes, calls):
        kept.clear()
    chunk_s = []
    frames = 0
    for _ in range(args.chunks):
        clip, seconds = timed(session.next_clip)
        frames += len(clip.frames)
        chunk_s.append(seconds)
        progress(f"a chunk in {seconds:.2f} s")
    whole, model_s = sum(chunk_s), sum(networks) + sum(passes)
    figures = {
        "forward_ms": 1e3 * float(np.median(passes)), "floor_ms": 1e3 * work / rate,
        "over_floor": float(np.median(passes)) * rate / work, "first_clip_s": first_s,
        "chunk_s": float(np.median(chunk_s)), "frames_per_s": frames / whole, "over_networks": whole / model_s,
        "handover": (whole - sum(calls)) / whole,
        "peak_gb": torch.cuda.max_memory_allocated() / 1e9 if device == "cuda" else 0.0,
    }  # fmt: skip
    name = torch.cuda.get_device_name() if device == "cuda" else "CPU"
    lines = [
        ("forward pass, ms (floor)", f"{figures['forward_ms']:.1f} ({figures['floor_ms']:.1f})"),
        ("forward pass over its floor", f"{figures['over_floor']:.2f}"),
        ("first clip, s", f"{figures['first_clip_s']:.2f}"),
        ("chunk p50, s", f"{figures['chunk_s']:.2f}"),
        ("frames a second", f"{figures['frames_per_s']:.2f}"),
        ("all over the networks' own time", f"{figures['over_networks']:.3f}"),
        ("share of a chunk outside of the pipeline", f"{figures['handover']:.2%}"),
        ("memory of the GPU at most, GB", f"{figures['peak_gb']:.1f}"),
    ]
    body = f"{name}, {args.steps} steps, {config.chunk_frames} frames of {config.height} x {config.width}.\n\n"
    publish(
        "large_model_speed", "A large model behind a session", body + table(("what", "measured"), lines), figures,
        args.json,
    )  # fmt: skip


def _called(pipeline: Any, told: dict[str, Any], calls: list[float]) -> Any:
    made, seconds = timed(lambda: pipeline(**told))
    calls.append(seconds)
    return made


if __name__ == "__main__":
    main()
