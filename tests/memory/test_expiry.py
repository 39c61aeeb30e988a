"""The time to live: older events go for good, and no stream's clock makes anything expire early."""

from __future__ import annotations

import pytest

from reverie.clock import ManualClock
from reverie.memory import Memory, MemoryConfig
from reverie.memory.recalls import MOST_BYTES, SPOOL, note
from reverie.types import EndOfStream, Query, StreamStart, ns
from tests.memory.reading import assert_whole
from tests.memory.worlds import BagOfWords, said, span

DAY_S = 86_400
NOW_NS = ns(1000 * DAY_S)


def open_memory(path, clock, *, mode="w", **options):
    config = MemoryConfig(ttl_s=10 * DAY_S, **options)
    return Memory.open(path, text_encoder=BagOfWords(), mode=mode, config=config, clock=clock)


def watch(memory, word, anchor_ns, stream_id):
    memory.write(
        [
            StreamStart(
                stream_id=stream_id, uri="x", live=False, has_video=False, has_audio=True, wall_anchor_ns=anchor_ns
            ),
            said(f"the {word} of {stream_id}", 0, 8, stream_id=stream_id),
            said(f"later the {word}", 20, 28, stream_id=stream_id),
            EndOfStream(stream_id=stream_id, pts_ns=ns(30)),
        ]
    )


def holds(directory, word):
    return any(word.encode() in path.read_bytes() for path in directory.rglob("*") if path.is_file())


def test_what_is_past_its_time_is_erased_for_good(tmp_path):
    clock = ManualClock(wall_ns=NOW_NS)
    with open_memory(tmp_path, clock) as memory:
        watch(memory, "xylophonewidow", NOW_NS, "old")
        clock.advance(9 * DAY_S)
        watch(memory, "lantern", clock.wall_ns(), "new")
        assert memory.consolidate().expired == 0
        clock.advance(1.5 * DAY_S)
        assert memory.consolidate().expired == 2
        assert memory.consolidate().expired == 0
        assert [event.stream_id for event in memory.timeline()] == ["new", "new"]
        assert memory.search(Query(text="lantern", k=1))
    assert not holds(tmp_path, "xylophonewidow")
    assert_whole(tmp_path)


@pytest.mark.parametrize("anchor_ns", [0, NOW_NS + ns(500 * DAY_S), None], ids=["1970", "the future", "unknown"])
def test_a_stream_with_a_wrong_clock_makes_nothing_expire_early(tmp_path, anchor_ns):
    clock = ManualClock(wall_ns=NOW_NS)
    with open_memory(tmp_path, clock) as memory:
        watch(memory, "lantern", NOW_NS, "right")
        watch(memory, "copper", anchor_ns, "wrong")
        memory.write([said("a leap of its time", 200 * DAY_S, 200 * DAY_S + 2, stream_id="wrong")])
        assert memory.consolidate().expired == 0
        clock.advance(9 * DAY_S)
        assert memory.consolidate().expired == 0


def test_what_is_pinned_does_not_expire(tmp_path):
    clock = ManualClock(wall_ns=NOW_NS)
    with open_memory(tmp_path, clock) as memory:
        watch(memory, "lantern", NOW_NS, "old")
        memory.pin(span(0, 5))
        clock.advance(20 * DAY_S)
        assert memory.consolidate().expired == 1
        assert [event.span.start_s for event in memory.timeline()] == [0]


def test_recalls_are_noted_without_text_bounded_and_emptied(tmp_path):
    clock = ManualClock(wall_ns=NOW_NS)
    with open_memory(tmp_path, clock) as memory:
        watch(memory, "lantern", NOW_NS, "tv")
        with open_memory(tmp_path, clock, mode="r") as reader:
            reader.search(Query(text="lantern", k=5))
        spool = tmp_path / SPOOL
        assert spool.stat().st_size == 32
        for number in range(3000):
            note(tmp_path, [(1, number)])
        assert spool.stat().st_size == MOST_BYTES
        with open(spool, "ab") as file:
            file.write(b"torn")
        assert memory.consolidate().recalls == MOST_BYTES // 16
        assert not spool.exists()
        memory.search(Query(text="lantern", k=5))
        assert spool.exists()
        memory.forget(span=span(0, 1))
        assert not spool.exists()
    with open_memory(tmp_path, clock, mode="r", remember_recalls=False) as reader:
        assert reader.search(Query(text="lantern", k=5))
    assert not spool.exists()
