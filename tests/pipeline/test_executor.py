"""The executor over threads: everything arrives, in order, once; what raises ends the run with its name."""

import threading

import pytest

from reverie.errors import StageError
from reverie.pipeline.executor import Executor
from reverie.pipeline.local import LocalBackend
from reverie.telemetry import Span
from reverie.testing import FakeEncoder, FakeSource, RecordingMemory
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
