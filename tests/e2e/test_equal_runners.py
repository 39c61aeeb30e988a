"""The same graph on the same file: threads and Ray actors remember the same."""

import pytest

import reverie
from tests.e2e.comparing import assert_equal, assert_whole, content

pytestmark = [pytest.mark.slow]


@pytest.mark.ray
def test_ray_remembers_what_threads_remember(stream, watched, tmp_path, ray_session):
    with reverie.open(tmp_path / "m", runner="ray") as session:
        progress = session.watch(stream)
    assert progress.counters.value("recoveries") == 0
    assert_whole(tmp_path / "m")
    assert_equal(tmp_path / "m", watched)


def test_the_stream_gives_every_sense_something(watched):
    rows, events, tracks = content(watched)
    assert {str(row.modality) for row in rows} >= {"vision", "objects", "writing", "speech"}
    assert len(events) >= 2
    assert tracks


def test_watching_again_adds_nothing(stream, watched, tmp_path):
    import shutil

    shutil.copytree(watched, tmp_path / "m")
    with reverie.open(tmp_path / "m", runner="local") as session:
        progress = session.watch(stream)
    assert progress.counters.value("observations_repeated") > 40
    assert_equal(tmp_path / "m", watched)
