"""kill -9 on every actor of the real graph, in turn, in the middle of a file: nothing is lost, nothing doubled."""

import os
import signal

import pytest

from reverie.pipeline.build import build_graph, open_memory, plan_sources
from reverie.pipeline.config import EdgeConfig, load_profile
from reverie.pipeline.executor import Executor
from tests.e2e.comparing import assert_equal, assert_whole

pytestmark = [pytest.mark.slow, pytest.mark.ray, pytest.mark.timeout(900)]

SEED, SECONDS = 5, 130.0
VICTIMS = ("source:0", "vision", "objects", "writing", "speech", "sound", "memory")
# Cuts close together, so that one is committed before each kill; short edges, so that the source is not far ahead.
PROFILE = load_profile("embedded").model_copy(
    update={"cut_interval_s": 4.0, "edges": EdgeConfig(video_items=4, audio_items=8)}
)


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    """Two minutes with everything in it, and the memory of it by threads and undisturbed."""
    import reverie
    from demos.sample.compose import compose

    folder = tmp_path_factory.mktemp("film")
    compose(SEED, SECONDS, folder / "film.mp4")
    with reverie.open(folder / "memory", runner="local") as session:
        session.watch(folder / "film.mp4")
    return folder


def test_killing_every_actor_in_turn_loses_and_doubles_nothing(film, tmp_path, ray_session):
    from reverie.pipeline.distributed.backend import RayBackend

    plans = plan_sources([film / "film.mp4"], PROFILE)
    open_memory(tmp_path / "m", PROFILE, "w").close()
    graph = build_graph(plans, PROFILE, tmp_path / "m")
    backend = RayBackend()
    killed: list[tuple[str, float, float]] = []

    def kill_the_next(_span):
        """One victim for every 5 s that have been committed since the start."""
        progress = executor.progress
        due = len(killed) < len(VICTIMS) and progress.watched_s >= 8 + 5 * len(killed)
        if due and progress.counters.value("recoveries") == len(killed):
            victim = VICTIMS[len(killed)]
            killed.append((victim, progress.watched_s, max(progress.read_ns.values()) / 1e9))
            os.kill(backend.pids()[victim], signal.SIGKILL)

    executor = Executor(graph, backend, {plans[0].stream_id: "source:0"}, on_span=kill_the_next)
    progress = executor.run()
    assert [victim for victim, _, _ in killed] == list(VICTIMS)
    assert all(read_s < SECONDS for _, _, read_s in killed), "the source had ended: nothing was shown"
    assert progress.counters.value("recoveries") == len(VICTIMS)
    assert_whole(tmp_path / "m")
    assert_equal(tmp_path / "m", film / "memory")
