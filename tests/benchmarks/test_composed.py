"""Composed streams and the policies that they are thinned by: pure data, checked on a library of made-up scenes."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.composed import NEEDLE_S, STREAM, compose, in_batches
from benchmarks.composed_library import Library, Scene, a_second_each
from benchmarks.composed_words import HABITS, small_talk, tell
from benchmarks.stream_policies import fifo, merging, thinning
from reverie.types import EndOfStream, Gap, Label, Modality, Observation, TimeSpan, Watermark, ns


def scene(number, num_moments=6):
    rng = np.random.default_rng(number)
    vectors = rng.standard_normal(16) + 0.1 * rng.standard_normal((num_moments, 16))
    pictures = [
        Observation(
            stream_id="clip", seq=at_s, span=TimeSpan(start_ns=ns(at_s), end_ns=ns(at_s + 1)),
            modality=Modality.VISION, embedding=(vector / np.linalg.norm(vector)).astype(np.float32), encoder="made",
            labels=(Label(name=f"thing {number}", score=0.8),),
        )
        for at_s, vector in enumerate(vectors)
    ]  # fmt: skip
    return Scene(scene_id=f"scene {number}", phrase=f"thing {number}", moments=tuple((item,) for item in pictures))


LIBRARY = Library(rare=tuple(scene(n) for n in range(8)), common=tuple(scene(n) for n in range(8, 12)))


class Letters:
    """Texts by how often each letter stands in them."""

    encoder_id = "letters"

    def encode(self, texts):
        counts = np.array([[1 + text.lower().count(chr(97 + n)) for n in range(26)] for text in texts], np.float32)
        return counts / np.linalg.norm(counts, axis=1, keepdims=True)


@pytest.fixture(scope="module")
def day():
    return compose(LIBRARY, "day", 3, 10)


def test_the_same_seed_gives_the_same_stream_and_another_another(day):
    again, other = compose(LIBRARY, "day", 3, 10), compose(LIBRARY, "day", 4, 10)
    assert [(o.span, o.text) for o in again.observations] == [(o.span, o.text) for o in day.observations]
    assert np.array_equal(again.observations[0].embedding, day.observations[0].embedding)
    assert [n.span for n in other.needles] != [n.span for n in day.needles]


def test_a_needle_happens_once_and_in_its_span(day):
    assert len(day.needles) == 8 + 10 - sum("both" in needle.questions for needle in day.needles)
    for needle in day.needles:
        assert needle.span.duration_ns == ns(NEEDLE_S)
        if "picture" in needle.questions:
            phrase = needle.questions["picture"].removeprefix("When was ").removesuffix(" seen?")
            shown = [o for o in day.observations if o.labels and o.labels[0].name == phrase]
            assert len(shown) == NEEDLE_S
            assert all(o.span.overlaps(needle.span) for o in shown)
    talk = {*small_talk(), *(text for text, _ in HABITS)}
    told = [o for o in day.observations if o.text and o.text not in talk]
    assert len(told) == len({o.text for o in told}) == 10
    spans = [needle.span for needle in day.needles if "sentence" in needle.questions]
    assert all(any(o.span.overlaps(span) for span in spans) for o in told)


@pytest.mark.slow
def test_needles_are_dealt_out_among_the_ages():
    bounds = [0.0, 3600.0, 86_400.0, 604_800.0, 2.7e6]
    month = compose(LIBRARY, "month", 0, 24, bounds)
    counts, _ = np.histogram([needle.age_s for needle in month.needles], bounds)
    assert counts.max() - counts.min() <= 1


def test_too_many_needles_are_refused():
    with pytest.raises(ValueError, match="there are"):
        tell(np.random.default_rng(0), 1000)
    with pytest.raises(ValueError, match="too short"):
        compose(LIBRARY, "month", 0, 60, [0.0, 120.0, 240.0])


def test_no_two_moments_are_equal_and_all_lie_in_sittings(day):
    vectors = {o.embedding.tobytes() for o in day.observations if o.embedding is not None}
    assert len(vectors) == sum(o.modality is Modality.VISION for o in day.observations)
    for item in day.observations:
        assert any(s.start_ns <= item.span.start_ns and item.span.end_ns <= s.end_ns for s in day.sittings)


def test_what_a_memory_is_sent_is_everything_in_order(day):
    items = [item for batch in in_batches(day.observations, day.sittings) for item in batch]
    assert [item for item in items if isinstance(item, Observation)] == list(day.observations)
    assert sum(isinstance(item, Gap) for item in items) == len(day.sittings) - 1
    assert sum(isinstance(item, Watermark) for item in items) == len(day.sittings)
    assert isinstance(items[-1], EndOfStream)
    assert {item.stream_id for item in items} == {STREAM}


def test_policies_keep_their_share_of_moments_and_of_texts(day):
    for keep in (fifo, thinning, lambda stream, share: merging(stream, share, Letters())):
        kept = keep(day, 0.2)
        for modality in (Modality.VISION, Modality.SPEECH):
            share = sum(o.modality is modality for o in kept) / sum(o.modality is modality for o in day.observations)
            assert share == pytest.approx(0.2, abs=0.03)
        assert [o.span.start_ns for o in kept] == sorted(o.span.start_ns for o in kept)


def test_merging_joins_what_is_alike_and_leaves_a_needle_alone(day):
    kept = [o for o in merging(day, 0.05, Letters()) if o.modality is Modality.VISION]
    assert sum(o.span.duration_ns for o in kept) == sum(sitting.duration_ns for sitting in day.sittings)
    for needle in day.needles:
        if "picture" in needle.questions:
            own = [o for o in kept if o.span.overlaps(needle.span)]
            assert any(o.span.duration_ns <= needle.span.duration_ns for o in own)


def test_a_clip_gives_a_moment_a_second_with_its_boxes():
    def seen(at_s, modality):
        span = TimeSpan(start_ns=ns(at_s), end_ns=ns(at_s + 0.5))
        return Observation(stream_id="clip", seq=round(2 * at_s), span=span, modality=modality)

    half = [seen(at_s / 2, modality) for at_s in range(6) for modality in (Modality.OBJECTS, Modality.VISION)]
    moments = a_second_each(half)
    assert [[o.span.start_s for o in moment] for moment in moments] == [[0, 0], [1, 1], [2, 2]]
