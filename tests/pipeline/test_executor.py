"""The executor over threads: everything arrives, in order, once; what raises ends the run with its name."""

import threading

import numpy as np
import pytest

from reverie.errors import StageError
from reverie.perception.sources import PushSource, SourceConfig
from reverie.pipeline.executor import MAX_WAITING_CALLS, Executor
from reverie.pipeline.local import LocalBackend
from reverie.telemetry import Span
from reverie.testing import FakeEncoder, FakeSource, RecordingMemory
from reverie.types import NS_PER_S, Frame, Gap
from tests.pipeline.graphs import expected_rows, fake_graph


def test_a_stream_is_recorded_whole_and_in_order(tmp_path):
    graph, streams = fake_graph(tmp_path / "rows.jsonl", seconds=30)
    progress = Executor(graph, LocalBackend(), streams).run()
    assert RecordingMemory.rows(tmp_path / "rows.jsonl") == expected_rows("s", 30)
    assert progress.finished
    assert progress.watched_s == 30
    assert progress.counters.value("frames_encoded") == 60
    assert progress.counters.value("observations") == 60 + 9


def test_several_streams_do_not_mix(tmp_path):
    graph, streams = fake_graph(tmp_path / "rows.jsonl", seconds=12, stream_ids=("a", "b", "c"))
    Executor(graph, LocalBackend(), streams).run()
    rows = RecordingMemory.rows(tmp_path / "rows.jsonl")
    for stream_id in "abc":
        assert [row for row in rows if row["key"][0] == stream_id] == expected_rows(stream_id, 12)


def test_watching_again_changes_nothing(tmp_path):
    for _ in range(2):
        graph, streams = fake_graph(tmp_path / "rows.jsonl", seconds=8)
        progress = Executor(graph, LocalBackend(), streams).run()
    assert RecordingMemory.rows(tmp_path / "rows.jsonl") == expected_rows("s", 8)
    assert progress.counters.value("observations_repeated") == 16 + 3


class BrokenEncoder(FakeEncoder):
    def process(self, items):
        if items[0].seq >= 8:
            raise ZeroDivisionError("lens cap on")
        yield from super().process(items)


def test_a_stage_that_raises_is_named_with_stream_and_time(tmp_path, monkeypatch):
    monkeypatch.setattr("tests.pipeline.graphs.FakeEncoder", BrokenEncoder)
    graph, streams = fake_graph(tmp_path / "rows.jsonl")
    with pytest.raises(StageError, match=r"stage vision failed on stream s at 4\.000 s: .*lens cap on"):
        Executor(graph, LocalBackend(), streams).run()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("reverie-")]


def test_a_live_stream_that_is_pushed_ends_when_told(tmp_path):
    class Endless(FakeSource):
        def __init__(self, stream_id, seconds, live):
            super().__init__(stream_id, 10**6, live)

    graph, streams = fake_graph(tmp_path / "rows.jsonl", live=True, source=Endless)
    executor = Executor(graph, LocalBackend(), streams, tap=lambda items: seen.extend(items))
    seen = []
    runner = threading.Thread(target=executor.run)
    runner.start()
    while len(seen) < 50:
        assert runner.is_alive()
    executor.call_source("s", "finish")
    runner.join(timeout=30)
    assert not runner.is_alive()
    rows = RecordingMemory.rows(tmp_path / "rows.jsonl")
    seconds = sum(row["key"][1] == "vision" for row in rows) // 2
    assert rows == expected_rows("s", seconds)


def test_every_step_is_timed(tmp_path):
    spans: list[Span] = []
    graph, streams = fake_graph(tmp_path / "rows.jsonl", seconds=5)
    Executor(graph, LocalBackend(), streams, on_span=spans.append).run()
    assert {span.stage for span in spans} == {"source:s", "vision", "speech", "memory"}


def test_what_is_pushed_faster_than_it_is_taken_is_counted_and_recorded(tmp_path, monkeypatch):
    kept = []

    class Keeping(RecordingMemory):
        def write(self, items):
            kept.extend(items)
            return super().write(items)

    def pushed(stream_id, seconds, live):
        return PushSource(stream_id, SourceConfig(), has_audio=False)

    monkeypatch.setattr("tests.pipeline.graphs.RecordingMemory", Keeping)
    graph, streams = fake_graph(tmp_path / "rows.jsonl", live=True, source=pushed)
    executor = Executor(graph, LocalBackend(), streams)
    num = MAX_WAITING_CALLS + 10
    for seq in range(num):
        image = np.full((8, 8, 3), seq % 256, np.uint8)
        executor.call_source("s", "push", [Frame(stream_id="s", seq=seq, pts_ns=seq * NS_PER_S, image=image)])
    executor.call_source("s", "finish")
    progress = executor.run()
    lost = [item for item in kept if isinstance(item, Gap) and "faster" in item.reason]
    assert sum(gap.num_dropped for gap in lost) == 11
    assert min(gap.span.start_ns for gap in lost) == 0
    assert max(gap.span.end_ns for gap in lost) == 10 * NS_PER_S + 1
    assert progress.counters.value("frames_dropped") >= 11
