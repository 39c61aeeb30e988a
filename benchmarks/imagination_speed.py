"""How quickly video is made, and what the parts beside the model cost.

    python benchmarks/imagination_speed.py [--weights FILE] [--chunks 12] [--json]

For each way of the small model: time to the first clip, time of a chunk (p50), frames a second; the time of the model's
own calls (UNet, autoencoder, CAM, anchor; an adapter's gradients) summed in the same run, and the time of all over it.
A step of the temporal adapter over a forward pass of the same chunk (its floor is 2: forward and backward through what
is adapted; Adam and loading its state on top). A session in a Ray actor against one here. Models with random weights
are as quick as trained ones.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.report import arguments, publish, table
from reverie.generation import checkpoint
from reverie.generation.checkpoint import SHIPPED
from reverie.generation.conditioning import Condition
from reverie.generation.latent_chunks import LatentChunksConfig
from reverie.generation.session import Imagination
from reverie.generation.temporal_lora import TemporalLora, TemporalLoraConfig, trajectory_loss
from reverie.generation.world_chunks import WorldChunks
from reverie.generation.world_model import NO_ACTION, WorldModel

RED = "a red circle over grass"
WAYS = {
    "concat, 10 steps": LatentChunksConfig(way="concat"),
    "cam, 10 steps": LatentChunksConfig(way="cam"),
    "cam and anchor, 10 steps": LatentChunksConfig(way="cam", anchor=True),
    "vidrd, 10 steps": LatentChunksConfig(way="vidrd"),
    "concat and adapter, 10 steps": LatentChunksConfig(way="concat", lora=TemporalLoraConfig()),
    "concat, 4 steps of LCM": LatentChunksConfig(way="concat", solver="lcm", num_steps=4, text_scale=1.0),
}


@contextmanager
def counted(model: WorldModel) -> Iterator[dict[str, float]]:
    """Seconds in the model's own calls."""
    spent = {"s": 0.0}

    def timed(call: Callable[..., Any]) -> Callable[..., Any]:
        def made(*args: Any, **options: Any) -> Any:
            started = time.perf_counter()
            try:
                return call(*args, **options)
            finally:
                spent["s"] += time.perf_counter() - started

        return made

    for name in ("predict", "encode", "decode"):
        setattr(model, name, timed(getattr(model, name)))
    with patch.object(torch.autograd, "grad", timed(torch.autograd.grad)):
        yield spent


def session_of(model: WorldModel, config: LatentChunksConfig) -> Imagination:
    return Imagination(WorldChunks(model, config), prompt=RED, actions=("left",), seed=1)


def pace(weights: Path, config: LatentChunksConfig, chunks: int) -> dict[str, float]:
    """Seconds of one session."""
    model = checkpoint.load(weights)
    with counted(model) as spent:
        started = time.perf_counter()
        session = session_of(model, config)
        clips, times = [session.next_clip()], []
        first_s = time.perf_counter() - started
        spent["s"], whole = 0.0, time.perf_counter()
        for _ in range(chunks):
            before = time.perf_counter()
            clips.append(session.next_clip())
            times.append(time.perf_counter() - before)
        all_s = time.perf_counter() - whole
    frames = sum(len(clip.frames) for clip in clips[1:])
    return {
        "first_ms": 1e3 * first_s, "chunk_ms": 1e3 * float(np.median(times)), "fps": frames / all_s,
        "over_model": all_s / spent["s"],
    }  # fmt: skip


def adapter_step(weights: Path, rounds: int) -> float:
    """One step of learning over one forward pass, of a chunk."""
    model = checkpoint.load(weights)
    config = model.config
    side = 8
    latents = torch.randn(1, config.latent_channels, config.chunk_frames, side, side)
    nothing = Condition(text=model.text([""]), actions=torch.full((1, config.chunk_frames), NO_ACTION))
    lora, generator, at = TemporalLora(model.unet), torch.Generator().manual_seed(0), torch.tensor([500])

    def predict(noisy: torch.Tensor, timestep: torch.Tensor) -> torch.Tensor:
        return model.predict(noisy, timestep, nothing)

    def step() -> None:
        lora.learn(lambda: trajectory_loss(predict, model.diffusion, latents, generator))

    def forward() -> None:
        with torch.no_grad():
            predict(latents, at)

    ratios = []
    for _ in range(rounds):
        spent = []
        for call in (forward, step):
            started = time.perf_counter()
            call()
            spent.append(time.perf_counter() - started)
        ratios.append(spent[1] / spent[0])
    return float(np.median(ratios))


def over_ray(weights: Path, chunks: int) -> float:
    """The time of a chunk that an actor makes and hands over, over one that is made here."""
    from reverie.pipeline.distributed.backend import disconnect
    from reverie.pipeline.distributed.imagination import RayImagination

    def chunk_s(session: Any) -> float:
        session.next_clip()
        started = time.perf_counter()
        for _ in range(chunks):
            session.next_clip()
        return (time.perf_counter() - started) / chunks

    here = chunk_s(_session(weights))
    there = RayImagination(partial(_session, weights))
    try:
        return chunk_s(there) / here
    finally:
        there.close()
        disconnect()


def _session(weights: Path) -> Imagination:
    torch.set_num_threads(1)
    return session_of(checkpoint.load(weights), LatentChunksConfig(way="concat"))


def main() -> None:
    args = arguments(__doc__, weights={"type": Path, "default": SHIPPED}, chunks={"type": int, "default": 12})
    torch.set_num_threads(1)
    rows = {way: pace(args.weights, config, args.chunks) for way, config in WAYS.items()}
    step, ray = adapter_step(args.weights, args.chunks), over_ray(args.weights, args.chunks)
    lines = [
        (way, f"{row['first_ms']:.0f}", f"{row['chunk_ms']:.0f}", f"{row['fps']:.1f}", f"{row['over_model']:.3f}")
        for way, row in rows.items()
    ]
    headings = ("way", "first clip, ms", "chunk p50, ms", "frames a second", "all over the model's own calls")
    body = table(headings, lines)
    body += f"\n\nA step of the temporal adapter takes {step:.2f} times a forward pass (floor: 2)."
    body += f"\nA chunk through a Ray actor, the next one under way: {ray:.3f} times one that is made here."
    publish(
        "imagination_speed", "How quickly video is made", body, {"adapter_step": step, "ray": ray, **rows}, args.json
    )


if __name__ == "__main__":
    main()
