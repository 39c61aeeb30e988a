"""The same graph over Ray actors: equal rows, and no actor's death loses or doubles any."""

import os
import signal
import threading
from typing import ClassVar

import pytest

from reverie.pipeline.executor import Executor
from reverie.testing import FakeSource, RecordingMemory
from tests.pipeline.graphs import expected_rows, fake_graph

pytestmark = pytest.mark.ray


class SlowSource(FakeSource):
    """Waits until the victim has been chosen, so that it dies in the middle and not after the end."""

    def pull(self):
        if self._second == 20:
            threading.Event().wait(0.3)
        return super().pull()


@pytest.fixture(scope="module")
def backend_class():
    from reverie.pipeline.distributed.backend import RayBackend, disconnect

    yield RayBackend
    disconnect()


def test_ray_records_what_threads_record(tmp_path, backend_class):
    graph, streams = fake_graph(tmp_path / "rows.jsonl", seconds=20, stream_ids=("a", "b"))
    progress = Executor(graph, backend_class(), streams).run()
    rows = RecordingMemory.rows(tmp_path / "rows.jsonl")
    for stream_id in "ab":
        assert [row for row in rows if row["key"][0] == stream_id] == expected_rows(stream_id, 20)
    assert progress.counters.value("recoveries") == 0


@pytest.mark.parametrize("victim", ["source:s", "vision", "speech", "memory"])
def test_killing_an_actor_loses_and_doubles_nothing(tmp_path, backend_class, victim):
    graph, streams = fake_graph(tmp_path / "rows.jsonl", seconds=60, source=SlowSource)
    backend = backend_class()
    killed = []

    def kill_in_the_middle(span):
        if executor.progress.watched_s >= 14 and not killed:
            pid = backend.pids()[victim]
            os.kill(pid, signal.SIGKILL)
            killed.append(pid)

    executor = Executor(graph, backend, streams, on_span=kill_in_the_middle)
    progress = executor.run()
    assert killed
    assert progress.counters.value("recoveries") >= 1
    assert RecordingMemory.rows(tmp_path / "rows.jsonl") == expected_rows("s", 60)


def test_a_source_that_cannot_travel_runs_here(tmp_path, backend_class):
    class MadeInATest(FakeSource):
        pids: ClassVar[set[int]] = set()

        def pull(self):
            self.pids.add(os.getpid())
            return super().pull()

    graph, streams = fake_graph(tmp_path / "rows.jsonl", seconds=20, source=MadeInATest, here=True)
    Executor(graph, backend_class(), streams).run()
    assert RecordingMemory.rows(tmp_path / "rows.jsonl") == expected_rows("s", 20)
    assert MadeInATest.pids == {os.getpid()}
