"""Randomized blending of overlapping chunks (StreamingT2V, section 4.3), and a causal variant that can stream.

A long video of latents is enhanced in chunks of F frames that overlap by O. At every denoising step all chunks are
predicted apart, and the overlap of two neighbours is taken from the left one up to a threshold, from the right one
after it. The threshold is drawn anew for each step and overlap, so no seam stays in one place; noise is shared,
because there is one latent for each frame of the video. Frame f of an overlap (1 to O) then comes from the left with
probability 1 - f / (O + 1): thresholds 0 to O are equally likely. The released code draws from 0 to O - 1
(`Draw.RELEASED`), so its last frame of an overlap never comes from the left.

What is stitched here is the prediction of x0 (as in the released code). A solver's step is linear in x0, the latent
and the noise, frame by frame, so this equals stitching the latents after the step, as the paper has it.

`blend` sweeps all of the video at every step: no frame is done before the last step. `StreamingBlend` is ours: chunks
are denoised one after another, and the later one is stitched against what the earlier one predicted at the same step,
which is kept; the overlap is final when the later one is. In both, the last chunk is moved to end with the video, so
that no frame is left out (the released code trims those that do not fit).

Shapes: latents (B, C, T, H, W).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor

Latents = Float[Tensor, "b c t h w"]
Predict = Callable[[Latents, int, slice], Latents]  # noisy frames of a chunk, step, which frames -> x0
Step = Callable[[Latents, Latents, int, Latents], Latents]  # x0, noisy, step, noise -> less noisy


class Draw(Enum):
    """Which thresholds are drawn for an overlap of O frames."""

    PAPER = 1  # 0 to O
    RELEASED = 0  # 0 to O - 1


def chunks_of(num_frames: int, chunk: int, overlap: int) -> list[slice]:
    """Overlapping chunks that cover every frame; the last one ends with the video.

    Raises:
        ValueError: an overlap as long as a chunk, or a video shorter than one.
    """
    if not 0 <= overlap < chunk:
        raise ValueError(f"an overlap ({overlap} frames) has to be shorter than a chunk ({chunk})")
    if num_frames < chunk:
        raise ValueError(f"a video of {num_frames} frames is shorter than a chunk ({chunk})")
    starts = [*range(0, num_frames - chunk, chunk - overlap), num_frames - chunk]
    return [slice(start, start + chunk) for start in starts]


def threshold(overlap: int, generator: torch.Generator, draw: Draw = Draw.PAPER) -> int:
    """How many frames of an overlap are taken from the left chunk."""
    return int(torch.randint(overlap + draw.value, (), generator=generator))


def stitch(chunks: Sequence[Latents], at: Sequence[slice], thresholds: Sequence[int]) -> Latents:
    """One video of the chunks: each takes over from the one before after `threshold` frames of their overlap."""
    video = chunks[0].new_empty(*chunks[0].shape[:2], at[-1].stop, *chunks[0].shape[3:])
    for chunk, where, left in zip(chunks, at, (0, *thresholds), strict=True):
        video[:, :, where.start + left : where.stop] = chunk[:, :, left:]
    return video


def blend(
    noisy: Latents,
    predict: Predict,
    step: Step,
    num_steps: int,
    *,
    chunk: int,
    overlap: int,
    generator: torch.Generator,
    draw: Draw = Draw.PAPER,
) -> Latents:
    """Denoise a whole video by randomized blending.

    Args:
        noisy: latents of all frames at the first step's noise level.
        predict: x0 of one chunk.
        step: one step of a solver over all frames.
        num_steps: of the solver.
        chunk: frames that are denoised together.
        overlap: frames that neighbours share.
        generator: on the CPU; draws thresholds and noise.
        draw: as in the paper, or as in the released code.
    """
    at = chunks_of(noisy.shape[2], chunk, overlap)
    shared = [left.stop - right.start for left, right in pairwise(at)]
    for index in range(num_steps):
        clean = stitch(
            [predict(noisy[:, :, where], index, where) for where in at],
            at,
            [threshold(frames, generator, draw) for frames in shared],
        )
        noise = torch.randn(noisy.shape, generator=generator).to(noisy)
        noisy = step(clean, noisy, index, noise)
    return noisy


@dataclass
class StreamingBlend:
    """Randomized blending of a video whose end is not known yet; memory does not grow with its length.

    Attributes:
        kept: of the last chunk's overlap with the next: x0 at each step.
        noise: of the same frames, at each step.
    """

    predict: Predict
    step: Step
    num_steps: int
    chunk: int
    overlap: int
    generator: torch.Generator
    draw: Draw = Draw.PAPER
    kept: list[Latents] = field(default_factory=list)
    noise: list[Latents] = field(default_factory=list)
    start: int = 0

    def push(self, noisy: Latents, *, last: bool = False) -> Latents:
        """Denoise the next chunk. Gives its frames that are final: all but the overlap with the next; of the last all.

        Args:
            noisy: latents of the chunk's frames at the first step's noise level. Those of an overlap have to be the
                ones that the chunk before had.
            last: no chunk follows.

        Raises:
            ValueError: not as many frames as a chunk has.
        """
        if noisy.shape[2] != self.chunk:
            raise ValueError(f"{noisy.shape[2]} frames instead of a chunk's {self.chunk}")
        where = slice(self.start, self.start + self.chunk)
        kept, drawn, held = [], [], slice(self.chunk - self.overlap, None)
        for index in range(self.num_steps):
            clean = self.predict(noisy, index, where)
            noise = torch.randn(noisy.shape, generator=self.generator).to(noisy)
            if self.kept:
                left = threshold(self.overlap, self.generator, self.draw)
                clean = torch.cat([self.kept[index][:, :, :left], clean[:, :, left:]], dim=2)
                noise = torch.cat([self.noise[index], noise[:, :, self.overlap :]], dim=2)
            kept.append(clean[:, :, held].clone())
            drawn.append(noise[:, :, held].clone())
            noisy = self.step(clean, noisy, index, noise)
        self.kept, self.noise, self.start = kept, drawn, self.start + self.chunk - self.overlap
        return noisy if last else noisy[:, :, : self.chunk - self.overlap]
