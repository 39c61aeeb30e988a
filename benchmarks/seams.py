"""What blending does to the seams of a video that is enhanced chunk by chunk (StreamingT2V, section 4.3).

    python benchmarks/seams.py [--weights FILE] [--seeds 30] [--json]

A film whose latents lost their detail (averaged over two by two) is noised to 600 of 1000 timesteps and denoised in
chunks of sixteen frames that overlap by eight, guided by its prompt. Arms: every chunk on its own, with noise of its
own, and the overlap cut in its middle; the same with shared noise; randomized blending; its causal variant. The
boundary ratio is the frame difference across the cuts over that elsewhere (1: cannot be told); beside it the deviation
of the length of flow over frames, as the paper has it, and the distance from the true film, so that blur does not win.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.imagined import Figures, Studio, column, episode, gate, interval, means, verdict
from benchmarks.report import arguments, publish, table
from reverie.generation.blending import StreamingBlend, blend, chunks_of, stitch
from reverie.generation.checkpoint import SHIPPED
from reverie.generation.conditioning import Condition
from reverie.generation.guidance import guide
from reverie.generation.metrics.consistency import boundary_ratio, psnr
from reverie.generation.metrics.motion import farneback
from reverie.generation.world_model import WorldModel, action_indices, to_frames, to_tensor

NUM_FRAMES, CHUNK, OVERLAP = 64, 16, 8
NOISED, STEPS = 600, 6  # of 1000 timesteps; taken of ten over all of them
TEXT_SCALE = 2.0
CUTS = [where.start + OVERLAP // 2 for where in chunks_of(NUM_FRAMES, CHUNK, OVERLAP)[1:]]
Enhance = Callable[["Enhancer", Tensor], Tensor]


class Enhancer:
    """A model's predictions and steps in the form that blending takes.

    Args:
        model: denoises.
        seed: of noise and thresholds.
        prompt: what the video shows.
        actions: that led to each of its frames; the first one's is not known.
    """

    def __init__(self, model: WorldModel, seed: int, prompt: str, actions: tuple[str, ...]) -> None:
        self._model, self.generator = model, torch.Generator().manual_seed(seed)
        self._at = torch.linspace(NOISED, 0, STEPS + 1).round().long()
        self._texts = model.text(["", prompt])
        self._actions = torch.tensor([action_indices(["stay", *actions])])

    def noised(self, latents: Tensor) -> Tensor:
        """At the first step's level, with new noise."""
        noise = torch.randn(latents.shape, generator=self.generator)
        return self._model.diffusion.noised(latents, noise, self._at[:1])

    @torch.no_grad()
    def predict(self, noisy: Tensor, step: int, where: slice) -> Tensor:
        """x0 of a chunk."""
        condition = Condition(text=self._texts, actions=self._actions[:, where].expand(2, -1))
        predicted = self._model.predict(noisy.expand(2, -1, -1, -1, -1), self._at[step].expand(2), condition)
        guided = guide(*predicted.chunk(2), text_scale=TEXT_SCALE)
        return self._model.diffusion.clean(noisy, guided, self._at[step : step + 1])

    def step(self, clean: Tensor, noisy: Tensor, step: int, noise: Tensor) -> Tensor:
        """DDIM without new noise."""
        if step == STEPS - 1:
            return clean
        alpha = self._model.diffusion.alphas[self._at[step]]
        left = (noisy - alpha.sqrt() * clean) / (1 - alpha).sqrt()
        return self._model.diffusion.noised(clean, left, self._at[step + 1 : step + 2])

    def alone(self, noisy: Tensor, where: slice) -> Tensor:
        """A chunk that no other is blended with."""
        for step in range(STEPS):
            noisy = self.step(self.predict(noisy, step, where), noisy, step, noisy)
        return noisy


def apart(enhancer: Enhancer, latents: Tensor, shared: bool) -> Tensor:
    """Chunks on their own, cut in the middle of each overlap."""
    at = chunks_of(NUM_FRAMES, CHUNK, OVERLAP)
    whole = enhancer.noised(latents)
    noisy = [whole[:, :, where] if shared else enhancer.noised(latents[:, :, where]) for where in at]
    made = [enhancer.alone(chunk, where) for chunk, where in zip(noisy, at, strict=True)]
    return stitch(made, at, [(left.stop - right.start) // 2 for left, right in pairwise(at)])


def blended(enhancer: Enhancer, latents: Tensor) -> Tensor:
    return blend(
        enhancer.noised(latents), enhancer.predict, enhancer.step, STEPS, chunk=CHUNK, overlap=OVERLAP,
        generator=enhancer.generator,
    )  # fmt: skip


def streamed(enhancer: Enhancer, latents: Tensor) -> Tensor:
    noisy, at = enhancer.noised(latents), chunks_of(NUM_FRAMES, CHUNK, OVERLAP)
    blender = StreamingBlend(enhancer.predict, enhancer.step, STEPS, CHUNK, OVERLAP, enhancer.generator)
    return torch.cat([blender.push(noisy[:, :, where], last=where is at[-1]) for where in at], dim=2)


ARMS: dict[str, Enhance] = {
    "independent": partial(apart, shared=False),
    "shared noise": partial(apart, shared=True),
    "blended": blended,
    "blended, streaming": streamed,
}


def coarse(latents: Tensor) -> Tensor:
    """Without what is smaller than two by two."""
    frames = latents.transpose(1, 2).flatten(0, 1)
    pooled = nn.functional.interpolate(nn.functional.avg_pool2d(frames, 2), scale_factor=2, mode="nearest")
    return pooled.unflatten(0, (len(latents), -1)).transpose(1, 2)


def figures_of(video: np.ndarray, film: np.ndarray) -> Figures:
    lengths = np.linalg.norm(farneback(video).flow, axis=-1).mean(axis=(1, 2))
    return {
        "ratio": boundary_ratio(video, CUTS), "deviation": float(lengths.std()), "psnr": min(psnr(video, film), 60.0)
    }  # fmt: skip


def measure(studio: Studio, enhance: Enhance | None, seed: int) -> Figures:
    """Of one film, enhanced; None: the film as it lost its detail."""
    told = episode(seed, NUM_FRAMES - 8)
    model = studio.model()
    with torch.no_grad():
        lost = coarse(model.encode(to_tensor(told.film.frames)[None]))
        enhancer = Enhancer(model, seed, told.place.prompt, told.actions)
        made = enhance(enhancer, lost) if enhance else lost
        return figures_of(to_frames(model.decode(made)[0]), told.film.frames)


def truth(seed: int) -> Figures:
    film = episode(seed, NUM_FRAMES - 8).film.frames
    return figures_of(film, film)


def main() -> None:
    args = arguments(__doc__, weights={"type": Path, "default": SHIPPED}, seeds={"type": int, "default": 30})
    studio, seeds = Studio(args.weights, args.work), range(args.seeds)
    passed, told_gate = gate(studio, seeds)
    arms = {"not enhanced": None, **ARMS}
    rows = {"truth": [truth(seed) for seed in seeds]}
    rows |= studio.runs("seams", {arm: partial(measure, studio, enhance) for arm, enhance in arms.items()}, seeds)
    mean_of, lines = means(rows), []
    for arm, mean in mean_of.items():
        note = ""
        if arm in ARMS and arm != "blended":
            low, high = interval(column(rows[arm], "ratio"), column(rows["blended"], "ratio"))
            note = verdict(passed, low, high)
        clean = "" if arm == "truth" else f"{mean['psnr']:.1f}"
        lines.append((arm, f"{mean['ratio']:.3f}", f"{mean['deviation']:.2f}", clean, note))
    headings = ("chunks", "boundary ratio", "deviation of flow, pixels", "PSNR, dB", "ratio less that of blended, 95 %")
    publish(
        "seams", "Seams of a video enhanced in chunks", f"{told_gate}\n\n{table(headings, lines)}",
        {"passed": passed, **mean_of}, args.json,
    )  # fmt: skip


if __name__ == "__main__":
    main()
