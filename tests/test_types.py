"""Spans: half-open, and their arithmetic."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reverie.types import AudioChunk, TimeSpan, ns

SPANS = st.tuples(st.integers(0, 1000), st.integers(1, 500)).map(
    lambda at: TimeSpan(start_ns=at[0], end_ns=at[0] + at[1])
)


@given(SPANS, SPANS)
def test_iou_is_symmetric_bounded_and_zero_exactly_when_apart(a, b):
    assert a.iou(b) == b.iou(a)
    assert 0 <= a.iou(b) <= 1
    assert (a.iou(b) > 0) == a.overlaps(b)
    assert (a.iou(b) == 1) == (a == b)


@given(SPANS, SPANS)
def test_a_union_covers_both_and_no_more(a, b):
    union = a.union(b)
    assert union.start_ns == min(a.start_ns, b.start_ns)
    assert union.end_ns == max(a.end_ns, b.end_ns)


def test_touching_spans_do_not_overlap():
    assert not TimeSpan(start_ns=0, end_ns=5).overlaps(TimeSpan(start_ns=5, end_ns=9))


def test_a_span_cannot_end_before_it_starts():
    with pytest.raises(ValueError, match="cannot end"):
        TimeSpan(start_ns=2, end_ns=1)


def test_a_chunk_lasts_as_long_as_its_samples():
    import numpy as np

    chunk = AudioChunk(stream_id="s", seq=0, pts_ns=ns(1.5), samples=np.zeros(8000, np.float32), sample_rate_hz=16_000)
    assert chunk.span == TimeSpan(start_ns=ns(1.5), end_ns=ns(2.0))
