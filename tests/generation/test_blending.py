from collections import Counter
from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from reverie.generation.blending import Draw, StreamingBlend, blend, chunks_of, stitch, threshold


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


@given(st.integers(1, 40), st.integers(0, 39), st.integers(0, 200))
def test_chunks_cover_every_frame_and_overlap_by_no_less_than_asked(chunk, overlap, more):
    if overlap >= chunk:
        with pytest.raises(ValueError, match="shorter than a chunk"):
            chunks_of(chunk + more, chunk, overlap)
        return
    at = chunks_of(chunk + more, chunk, overlap)
    assert {frame for where in at for frame in range(where.start, where.stop)} == set(range(chunk + more))
    assert all(where.stop - where.start == chunk for where in at)
    assert all(left.stop - right.start >= overlap for left, right in pairwise(at))


def test_too_short_a_video_is_refused():
    with pytest.raises(ValueError, match="shorter than a chunk"):
        chunks_of(7, 8, 2)


@pytest.mark.parametrize("draw", Draw)
def test_a_frame_of_an_overlap_comes_from_the_left_as_often_as_it_should(draw):
    overlap, generator, left = 8, seeded(), Counter()
    for _ in range(20_000):
        left.update(range(1, threshold(overlap, generator, draw) + 1))
    for frame in range(1, overlap + 1):
        expected = 1 - frame / (overlap + 1) if draw is Draw.PAPER else 1 - frame / overlap
        assert left[frame] / 20_000 == pytest.approx(expected, abs=0.02)


def test_a_stitched_video_takes_each_frame_from_one_chunk():
    at = chunks_of(20, 8, 3)
    chunks = [torch.full((1, 1, 8, 1, 1), float(index)) for index in range(len(at))]
    whole = stitch(chunks, at, [1, 2, 5])[0, 0, :, 0, 0].tolist()
    assert [where.start for where in at] == [0, 5, 10, 12]
    assert whole == [0] * 6 + [1] * 6 + [2] * 5 + [3] * 3


def half(clean, noisy, index, noise):
    """A step of a stochastic solver: linear in all three, frame by frame."""
    return 0.5 * noisy + 0.4 * clean + 0.1 * noise


def by_place(noisy, index, where):
    """A prediction that depends on all frames of the chunk, so that a seam would show."""
    return noisy.mean(dim=2, keepdim=True) * (index + 1) + noisy


def test_stitching_predictions_is_stitching_latents_after_the_step():
    noisy = torch.randn(1, 2, 20, 2, 2, generator=seeded(1))
    blended = blend(noisy, by_place, half, 3, chunk=8, overlap=3, generator=seeded(2))
    generator, latents = seeded(2), noisy
    at = chunks_of(20, 8, 3)
    for index in range(3):
        clean = [by_place(latents[:, :, where], index, where) for where in at]
        thresholds = [threshold(left.stop - right.start, generator) for left, right in pairwise(at)]
        noise = torch.randn(latents.shape, generator=generator)
        stepped = [half(x0, latents[:, :, w], index, noise[:, :, w]) for x0, w in zip(clean, at, strict=True)]
        latents = stitch(stepped, at, thresholds)
    assert torch.allclose(blended, latents, atol=1e-6)


def test_blending_is_seeded_and_leaves_the_global_generator_alone():
    noisy, before = torch.randn(1, 1, 20, 1, 1), torch.random.get_rng_state()
    one, again, other = (
        blend(noisy, by_place, half, 4, chunk=8, overlap=4, generator=seeded(seed)) for seed in (5, 5, 6)
    )
    assert torch.equal(one, again)
    assert not torch.equal(one, other)
    assert torch.equal(torch.random.get_rng_state(), before)


def streamed(noisy, chunk, overlap, seed=3):
    at = chunks_of(noisy.shape[2], chunk, overlap)
    blender = StreamingBlend(by_place, half, 4, chunk, overlap, seeded(seed))
    parts = [blender.push(noisy[:, :, where], last=where is at[-1]) for where in at]
    return torch.cat(parts, dim=2), blender


def test_the_streaming_variant_gives_every_frame_once_and_keeps_one_overlap():
    noisy = torch.randn(1, 2, 23, 2, 2)
    video, blender = streamed(noisy, 8, 3)
    assert video.shape == noisy.shape
    assert {kept.shape[2] for kept in (*blender.kept, *blender.noise)} == {3}
    assert len(blender.kept) == 4


def test_the_streaming_variant_ends_as_it_would_whatever_comes_later():
    noisy = torch.randn(1, 1, 23, 1, 1)
    longer, _ = streamed(noisy, 8, 3)
    shorter, _ = streamed(noisy[:, :, :13], 8, 3)
    assert torch.equal(longer[:, :, :10], shorter[:, :, :10]), "causal: frames that were given are never touched again"


def test_of_one_chunk_both_are_the_solver_alone():
    noisy = torch.randn(1, 1, 8, 1, 1)
    video, _ = streamed(noisy, 8, 3)
    generator, latents = seeded(3), noisy
    for index in range(4):
        clean = by_place(latents, index, slice(0, 8))
        latents = half(clean, latents, index, torch.randn(latents.shape, generator=generator))
    assert torch.allclose(video, latents)
    assert torch.allclose(blend(noisy, by_place, half, 4, chunk=8, overlap=3, generator=seeded(3)), latents)


def test_a_chunk_of_another_length_is_refused():
    with pytest.raises(ValueError, match="7 frames instead of a chunk's 8"):
        StreamingBlend(by_place, half, 4, 8, 3, seeded()).push(torch.zeros(1, 1, 7, 1, 1))
