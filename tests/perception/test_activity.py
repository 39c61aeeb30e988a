import copy
import pickle

from hypothesis import given
from hypothesis import strategies as st

from reverie.perception.activity import ActivitySegmenter, Thresholds

LIMITS = Thresholds(open_at=0.5, close_at=0.35, min_length=3, min_pause=4, max_length=20)
probabilities = st.lists(st.floats(0, 1, width=32), max_size=150)


def segment(values, limits=LIMITS):
    segmenter = ActivitySegmenter(limits)
    closed = segmenter.feed(values)
    last = segmenter.flush()
    return closed + ([last] if last else [])


def test_a_short_dip_does_not_close_and_a_short_peak_does_not_count():
    speech = [0.9] * 5 + [0.1] * 3 + [0.9] * 5
    assert [(found.start, found.end) for found in segment([0.0] * 2 + speech + [0.0] * 9)] == [(2, 15)]
    assert segment([0.0] * 4 + [0.9] * 2 + [0.0] * 9) == []


def test_what_is_open_ends_where_its_sound_ended():
    (found,) = segment([0.9] * 6 + [0.1] * 2)
    assert (found.start, found.end) == (0, 6)


def test_between_the_thresholds_it_stays_open():
    (found,) = segment([0.9] * 3 + [0.4] * 8 + [0.0] * 4)
    assert (found.start, found.end) == (0, 11)


def test_a_long_span_is_cut_at_its_weakest_point():
    values = [0.9] * 40
    values[13] = values[14] = values[15] = 0.6
    first, *rest = segment(values)
    assert (first.start, first.end, first.cut_after) == (0, 14, True)
    assert rest[0].start == 14
    assert rest[0].cut_before
    assert rest[-1].end == 40


@given(probabilities)
def test_spans_are_ordered_bounded_and_carry_their_probabilities(values):
    end = 0
    for found in segment(values):
        assert end <= found.start < found.end <= len(values)
        assert found.end - found.start <= LIMITS.max_length
        assert found.cut_before or found.end - found.start >= LIMITS.min_length
        assert list(found.probabilities) == values[found.start : found.end]
        assert not found.cut_before or found.start == end
        end = found.end


@given(probabilities)
def test_no_window_that_opens_is_lost_but_in_spans_too_short(values):
    """Every window of `open_at` or more is in a span, unless its burst was shorter than the least length."""
    covered = {window for found in segment(values) for window in range(found.start, found.end)}
    lenient = Thresholds(open_at=0.5, close_at=0.35, min_length=1, min_pause=4, max_length=20)
    for found in segment(values, lenient):
        if found.end - found.start >= LIMITS.min_length:
            assert set(range(found.start, found.end)) <= covered
    everywhere = {window for found in segment(values, lenient) for window in range(found.start, found.end)}
    assert {window for window, value in enumerate(values) if value >= 0.5} <= everywhere


@given(probabilities, st.data())
def test_it_can_be_cut_anywhere_and_go_on_from_a_pickle(values, data):
    at = data.draw(st.integers(0, len(values)))
    segmenter = ActivitySegmenter(LIMITS)
    found = segmenter.feed(values[:at])
    restored = pickle.loads(pickle.dumps(copy.deepcopy(segmenter)))
    found += restored.feed(values[at:])
    last = restored.flush()
    assert found + ([last] if last else []) == segment(values)
