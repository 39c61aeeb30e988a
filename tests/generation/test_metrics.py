"""Every metric on clips whose answer is known: cut, still, moved by whole pixels."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from reverie.generation.metrics import actions, consistency, cuts, frechet, motion
from reverie.generation.world import MAP_PX, Action, Place, out_and_back, wander

RANDOM = np.random.default_rng(0)
TEXTURE = gaussian_filter(RANDOM.uniform(0, 255, (96, 160, 3)), (2, 2, 0))
TEXTURE = ((TEXTURE - TEXTURE.min()) / np.ptp(TEXTURE) * 255).astype(np.uint8)


def panned(num_frames=8, by=3):
    """The texture moves to the left by so many pixels a frame."""
    return np.stack([TEXTURE[:64, by * index : by * index + 64] for index in range(num_frames)])


def exact(num_frames=8, by=3):
    flow = np.zeros((num_frames - 1, 64, 64, 2), np.float32)
    flow[..., 0] = -by
    visible = np.zeros((num_frames - 1, 64, 64), bool)
    visible[:, :, by:] = True
    return motion.Motion(flow, visible)


def test_exact_flow_explains_a_translation_and_no_flow_does_not():
    assert motion.warp_error(panned(), exact()) == 0
    still = motion.Motion(np.zeros_like(exact().flow), exact().visible)
    assert motion.warp_error(panned(), still) > 100


def test_estimated_flow_finds_the_translation():
    found = motion.farneback(panned())
    inside = found.flow[:, 16:-16, 16:-16]
    assert np.median(inside[..., 0]) == pytest.approx(-3, abs=0.3)
    assert np.median(inside[..., 1]) == pytest.approx(0, abs=0.3)
    assert motion.warp_error(panned(), found) < 20


def test_mawe_is_the_warp_error_over_the_motion_in_both_definitions():
    noisy = np.clip(panned().astype(int) + RANDOM.integers(-9, 10, panned().shape), 0, 255).astype(np.uint8)
    errors = motion.warp_errors(noisy, exact())
    assert motion.mawe_paper(noisy, exact()) == pytest.approx(errors.mean() / 9)  # 3 pixels, squared
    assert motion.mawe_released(noisy, exact()) == pytest.approx(errors.mean() / (9.5 * 3))
    assert motion.mawe_paper(panned(), exact()) == 0


def test_a_still_video_has_no_mawe_and_with_noise_an_unbounded_one():
    still = np.repeat(TEXTURE[None, :64, :64], 5, axis=0)
    nothing = motion.Motion(np.zeros((4, 64, 64, 2), np.float32), np.ones((4, 64, 64), bool))
    assert np.isnan(motion.mawe_paper(still, nothing))
    noisy = np.clip(still.astype(int) + RANDOM.integers(-9, 10, still.shape), 0, 255).astype(np.uint8)
    assert motion.mawe_paper(noisy, nothing) == np.inf


def test_flow_magnitudes_tell_steady_from_jerky():
    assert motion.flow_magnitudes(exact()).std() == 0
    assert motion.flow_magnitudes(exact()).mean() == pytest.approx(3)


def test_a_flow_too_few_is_refused():
    with pytest.raises(ValueError, match="one less than frames"):
        motion.warp_error(panned(6), exact(8))


def test_a_cut_is_found_and_a_pan_is_none():
    pan, other = panned(30, by=1), Place(2).film([Action.STAY] * 29).frames.repeat(2, axis=1).repeat(2, axis=2)
    assert cuts.scene_cuts(pan) == []
    assert cuts.scene_cuts(np.concatenate([pan, other])) == [30]


def test_the_boundary_ratio_of_a_steady_pan_is_one_and_of_a_cut_large():
    assert consistency.boundary_ratio(panned(16), [8]) == pytest.approx(1, abs=0.1)
    assert consistency.boundary_ratio(np.concatenate([panned(8, by=1), 255 - panned(8, by=1)]), [8]) > 3


@pytest.mark.parametrize("seams", [[], [0], [16], list(range(1, 16))])
def test_seams_that_are_none_are_refused(seams):
    with pytest.raises(ValueError, match="seams have to lie between"):
        consistency.boundary_ratio(panned(16), seams)


def test_revisits_are_found_by_pose_and_scored_by_likeness():
    film = Place(6).film(out_and_back(Action.LEFT, 16))
    pairs = consistency.revisits(film.camera, MAP_PX, apart=20)
    assert pairs == [(16 - gap // 2, 16 + gap // 2) for gap in range(20, 33, 2)]
    seen_again = consistency.revisit_psnr(film.frames, pairs)
    elsewhere = consistency.revisit_psnr(film.frames, [(first, again - 7) for first, again in pairs])
    assert seen_again > elsewhere + 3
    assert consistency.psnr(film.frames[0], film.frames[0]) == np.inf


def test_a_torus_brings_the_camera_back():
    camera = np.stack([np.zeros(25, int), 4 * np.arange(25)], axis=1)
    assert consistency.revisits(camera, MAP_PX, apart=8) == [(0, 24)]


def test_identity_and_revisit_cosines_are_of_the_embedding_that_is_given():
    def mean_colour(frames):
        return frames.mean(axis=(1, 2)).astype(np.float32)

    red, blue = (np.tile(np.uint8(colour), (3, 8, 8, 1)) for colour in ([255, 0, 0], [0, 0, 255]))
    assert consistency.identity_distances(np.concatenate([red, blue]), red[0], mean_colour) == pytest.approx(
        [0, 0, 0, 1, 1, 1]
    )
    assert consistency.revisit_cosine(np.concatenate([red, blue]), [(0, 2), (0, 5)], mean_colour) == pytest.approx(0.5)


def test_the_worlds_own_films_are_moved_as_told():
    right = [
        actions.action_accuracy(Place(seed).film(told).frames, told)
        for seed in range(20)
        for told in [wander(np.random.default_rng(seed), 40)]
    ]
    assert np.mean(right) > 0.95


def test_direction_errors_are_angles():
    film = Place(6).film([Action.LEFT] * 5)
    assert actions.direction_errors(film.frames, [Action.LEFT] * 5) == [0] * 5
    assert actions.direction_errors(film.frames, [Action.RIGHT] * 5) == [180] * 5
    assert actions.direction_errors(film.frames, [Action.UP] * 5) == [90] * 5
    assert actions.direction_errors(film.frames, [Action.STAY] * 5) == [90] * 5
    with pytest.raises(ValueError, match="one less than frames"):
        actions.action_accuracy(film.frames, [Action.LEFT])


def test_the_frechet_distance_of_two_normal_distributions():
    samples = RANDOM.normal(size=(20_000, 3))
    assert frechet.frechet_distance(samples, samples) == pytest.approx(0, abs=1e-6)
    assert frechet.frechet_distance(samples, samples + np.array([1, 2, 0])) == pytest.approx(5, abs=1e-6)
    assert frechet.frechet_distance(samples, 2 * samples) == pytest.approx(3, rel=0.05)  # (2 - 1)^2 in each of three
    with pytest.raises(ValueError, match="at least two"):
        frechet.frechet_distance(samples[:1], samples)
