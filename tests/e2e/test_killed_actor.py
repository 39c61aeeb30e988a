"""kill -9 on any actor in the middle of a file: nothing is lost, nothing is doubled."""

import os
import signal

import pytest

from reverie.pipeline.build import build_graph, open_memory, plan_sources
from reverie.pipeline.config import EdgeConfig, load_profile
from reverie.pipeline.executor import Executor
from tests.conftest import STREAM_S
from tests.e2e.comparing import assert_equal, assert_whole

pytestmark = [pytest.mark.slow, pytest.mark.ray]

KILL_AFTER_S = 10.0  # of the file have been read
# Small pulls and short edges, so that the source is in the middle when it is killed.
EMBEDDED = load_profile("embedded")
PROFILE = EMBEDDED.model_copy(
    update={
        "cut_interval_s": 4.0,
        "edges": EdgeConfig(video_items=1, audio_items=1),
        "source": EMBEDDED.source.model_copy(update={"batch_s": 1.0}),
    }
)


@pytest.mark.parametrize("victim", ["source:0", "vision", "objects", "writing", "speech", "sound", "memory"])
def test_killing_an_actor_loses_and_doubles_nothing(stream, watched, tmp_path, ray_session, victim):
    from reverie.pipeline.distributed.backend import RayBackend

    plans = plan_sources([stream], PROFILE)
    open_memory(tmp_path / "m", PROFILE, "w").close()
    graph = build_graph(plans, PROFILE, tmp_path / "m")
    backend = RayBackend()
    killed = []

    def kill_in_the_middle(span):
        read_s = max(executor.progress.read_ns.values(), default=0) / 1e9
        if read_s >= KILL_AFTER_S and not killed:
            killed.append((executor.progress.watched_s, read_s))
            os.kill(backend.pids()[victim], signal.SIGKILL)

    executor = Executor(graph, backend, {plans[0].stream_id: "source:0"}, on_span=kill_in_the_middle)
    progress = executor.run()
    ((watched_s, read_s),) = killed
    assert watched_s < STREAM_S - 2
    assert read_s < STREAM_S, "the source had ended before it was killed: nothing was shown"
    assert progress.counters.value("recoveries") == 1
    assert_whole(tmp_path / "m")
    assert_equal(tmp_path / "m", watched)
