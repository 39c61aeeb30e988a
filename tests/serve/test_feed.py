import io
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from reverie.errors import SourceError
from reverie.serve.feed import MAX_JITTER_NS, Feed
from reverie.types import ns
from tests.serve.pictures import half, plain

RATE_HZ = 48_000
CHUNK = np.zeros(12_000, "<i2").tobytes()  # a quarter of a second


def test_a_picture_keeps_its_time_and_content():
    feed = Feed("camera", zero_ms=5_000.0)
    first, second = feed.picture(5_000.0, plain()), feed.picture(6_250.5, half())
    assert (first.seq, first.pts_ns) == (0, 0)
    assert (second.seq, second.pts_ns) == (1, ns(1.2505))
    assert second.image.shape == (180, 320, 3)
    assert second.image[:, :140].max() < 16
    assert second.image[:, 180:].min() > 239


def test_what_was_taken_before_the_feed_opened_stands_at_its_start():
    assert Feed("camera", zero_ms=5_000.0).picture(4_990.0, plain()).pts_ns == 0


@pytest.mark.parametrize("at_ms", [float("nan"), float("inf"), float("-inf"), -1e6, 1e15])
def test_a_time_that_cannot_be_is_refused(at_ms):
    feed = Feed("camera", zero_ms=5_000.0)
    with pytest.raises(SourceError, match="no time of this feed"):
        feed.picture(at_ms, plain())
    with pytest.raises(SourceError, match="no time of this feed"):
        feed.sound(at_ms, RATE_HZ, CHUNK)
    assert feed.picture(5_000.0, plain()).seq == 0


@pytest.mark.parametrize("body", [b"", b"<html>", plain()[:200], b"\xff\xd8\xff" + bytes(100)])
def test_what_is_no_jpeg_is_refused(body):
    with pytest.raises(SourceError, match="not a JPEG"):
        Feed("camera", 0.0).picture(0.0, body)


def test_other_formats_are_refused_even_if_they_could_be_read():
    out = io.BytesIO()
    Image.new("RGB", (8, 8)).save(out, "PNG")
    with pytest.raises(SourceError, match="not a JPEG"):
        Feed("camera", 0.0).picture(0.0, out.getvalue())


@pytest.mark.parametrize("side", [5_000, 20_000])
def test_a_huge_picture_is_refused_by_its_header(side):
    jpeg = bytearray(plain())
    header = jpeg.index(b"\xff\xc0") + 5
    jpeg[header : header + 4] = side.to_bytes(2, "big") * 2
    with pytest.raises(SourceError, match=r"too large|exceeds limit"):
        Feed("camera", 0.0).picture(0.0, bytes(jpeg))


def test_sound_is_scaled_to_one():
    chunk = Feed("camera", 0.0).sound(0.0, RATE_HZ, np.array([0, 16384, -32768], "<i2").tobytes())
    assert chunk.samples.dtype == np.float32
    assert chunk.samples.tolist() == [0.0, 0.5, -1.0]


@pytest.mark.parametrize(
    ("rate_hz", "pcm"), [(RATE_HZ, b""), (RATE_HZ, b"abc"), (0, CHUNK), (-1, CHUNK), (10**9, CHUNK)]
)
def test_what_is_no_sound_is_refused(rate_hz, pcm):
    with pytest.raises(SourceError, match="not 16-bit mono sound"):
        Feed("camera", 0.0).sound(0.0, rate_hz, pcm)


@given(st.lists(st.floats(-MAX_JITTER_NS / 2e6, MAX_JITTER_NS / 2e6), min_size=2, max_size=40))
def test_jitter_does_not_tear_sound_apart(jitters_ms):
    feed = Feed("camera", 0.0)
    chunks = [feed.sound(1_000 + 250 * i + jitter, RATE_HZ, CHUNK) for i, jitter in enumerate(jitters_ms)]
    for chunk, following in pairwise(chunks):
        assert following.pts_ns == chunk.span.end_ns


@given(st.lists(st.floats(0, 5_000), min_size=2, max_size=30), st.sampled_from([16_000, 44_100, 48_000]))
def test_sound_never_overlaps_and_a_hole_stays_a_hole(pauses_ms, rate_hz):
    feed, at_ms, previous = Feed("camera", 0.0), 0.0, None
    for pause_ms in pauses_ms:
        at_ms += pause_ms
        chunk = feed.sound(at_ms, rate_hz, CHUNK)
        late_ns = ns(at_ms / 1000) - chunk.pts_ns
        assert late_ns <= MAX_JITTER_NS + 1
        if previous is not None:
            assert chunk.pts_ns >= previous.span.end_ns - 1
        previous, at_ms = chunk, at_ms + 12_000_000 / rate_hz


def test_a_change_of_rate_starts_after_what_was_there():
    feed = Feed("camera", 0.0)
    first = feed.sound(0.0, 48_000, CHUNK)
    second = feed.sound(100.0, 16_000, CHUNK)
    assert second.pts_ns == first.span.end_ns
    assert second.sample_rate_hz == 16_000
