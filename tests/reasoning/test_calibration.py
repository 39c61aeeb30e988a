"""Probabilities of evidence: monotone, learnable, and left alone where there is nothing to learn from."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from reverie.reasoning.calibration import FEATURES, Calibration, Channel, Example, fit


def _examples(weights, count=400, seed=3):
    rng = np.random.default_rng(seed)
    rows = rng.random((count, len(weights) - 1))
    chance = 1 / (1 + np.exp(-(weights[0] + rows @ np.array(weights[1:]))))
    present = rng.random(count) < chance
    return [
        Example(channel=Channel.THING, features=tuple(map(float, row)), present=bool(yes))
        for row, yes in zip(rows, present, strict=True)
    ]


def test_every_feature_has_a_coefficient():
    calibration = Calibration()
    for channel, names in FEATURES.items():
        assert len(calibration.coefficients(channel)) == len(names) + 1


def test_fit_recovers_the_coefficients_that_made_the_examples():
    weights = (-3.0, 4.0, 2.0, -1.0, 0.5, 1.0)
    learned = fit(_examples(weights, count=4000), pull=1e-6).thing
    assert np.allclose(learned, weights, atol=0.5)


def test_fit_lowers_the_loss_and_stays_where_there_are_no_examples():
    examples = _examples((-1.0, 5.0, -3.0, 0.5, 0.0, 1.0))
    before, after = Calibration(), fit(examples)

    def loss(calibration):
        chances = [calibration.probability(e.channel, e.features) for e in examples]
        return -sum(np.log(p if e.present else 1 - p) for p, e in zip(chances, examples, strict=True))

    assert loss(after) < 0.8 * loss(before)
    assert after.text == before.text
    assert after.picture == before.picture


def test_fit_needs_both_kinds_of_example():
    only_present = [Example(channel=Channel.PICTURE, features=(1.0, 1.0, 1.0, 0.5, 1.0), present=True)] * 5
    assert fit(only_present) == Calibration()


@given(st.lists(st.floats(-1e6, 1e6), min_size=6, max_size=6))
def test_probabilities_are_probabilities(features):
    assert 0.0 <= Calibration().probability(Channel.TEXT, features) <= 1.0


@given(st.floats(0, 1), st.floats(0, 1))
def test_more_coverage_is_never_less_probable(low, high):
    low, high = sorted((low, high))
    rest = (0.2, 0.3, 0.0, 0.0, 0.0)
    calibration = Calibration()
    assert calibration.probability(Channel.TEXT, (low, *rest)) <= calibration.probability(Channel.TEXT, (high, *rest))
