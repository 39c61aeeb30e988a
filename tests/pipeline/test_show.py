"""The lines of a timeline, of a real memory of several days."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from reverie.memory import Memory
from reverie.pipeline.show import timeline_as_text
from reverie.types import EndOfStream, StreamStart, ns
from tests.memory.worlds import BagOfWords, said


@pytest.fixture
def memory(tmp_path):
    with Memory.open(tmp_path / "days.memory", text_encoder=BagOfWords(), mode="w") as memory:
        yield memory


def speak(memory, stream_id, text, start_s, day=None, zone="UTC"):
    """A stream of one sentence, from noon of a day in November 2026 on."""
    noon = None if day is None else int(datetime(2026, 11, day, 12, tzinfo=UTC).timestamp()) * 10**9
    start = StreamStart(
        stream_id=stream_id, uri="", live=True, has_video=False, has_audio=True, wall_anchor_ns=noon, timezone=zone
    )
    end = EndOfStream(stream_id=stream_id, pts_ns=ns(start_s + 5))
    memory.write([start, said(text, start_s, start_s + 4, stream_id), end])


def shown(memory):
    return timeline_as_text(memory.timeline(), memory.streams()).splitlines()


def test_streams_stand_in_the_order_of_their_days_with_the_date(memory):
    speak(memory, "later", "on sunday", 10, day=22)
    speak(memory, "early", "on saturday", 2000, day=21)
    assert [line.partition("  [")[0] for line in shown(memory)] == ["Sat 21 Nov 2026", "Sun 22 Nov 2026"]
    assert [event.text for event in memory.timeline()] == ["on saturday", "on sunday"]


def test_a_day_is_that_of_the_streams_own_zone(memory):
    speak(memory, "rome", "at one in the afternoon", 0, day=21, zone="Europe/Rome")
    speak(memory, "auckland", "at one in the night", 1, day=21, zone="Pacific/Auckland")
    assert [line[:15] for line in shown(memory)] == ["Sat 21 Nov 2026", "Sun 22 Nov 2026"]


def test_a_single_day_has_no_date(memory):
    speak(memory, "one", "first", 10, day=21)
    speak(memory, "two", "second", 20, day=21)
    assert all(line.startswith("[") for line in shown(memory))


def test_where_a_stream_does_not_know_its_day_media_time_orders_all(memory):
    speak(memory, "later", "on sunday", 10, day=22)
    speak(memory, "early", "on saturday", 2000, day=21)
    speak(memory, "film", "some day", 300)
    assert [event.stream_id for event in memory.timeline()] == ["later", "film", "early"]
    assert [line.partition(" ")[0] for line in shown(memory)] == ["Sun", "[5:00-5:05]", "Sat"]
