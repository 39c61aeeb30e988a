"""A disk of 16 MB that fills up: writing waits and says so, reading goes on, and with space again so does writing."""

import os
import threading

import pytest

import reverie
from reverie.types import NS_PER_S
from tests.media import every, numbered, write_media

PATIENCE_S = 60


def pictures(num=60, stream_id="mine"):
    return [
        reverie.Frame(stream_id=stream_id, seq=seq, pts_ns=seq * NS_PER_S // 2, image=numbered(37 * seq))
        for seq in range(num)
    ]


def gated(items, gate):
    """The first 20 items, and the others when the gate is open."""
    yield from items[:20]
    assert gate.wait(PATIENCE_S)
    yield from items[20:]


def fill(folder):
    """Take all the space that is left."""
    state = os.statvfs(folder)
    ballast = folder / "ballast"
    ballast.write_bytes(b"\0" * (state.f_bavail * state.f_frsize))
    return ballast


def wait_for(watch, holds):
    """Wait until it holds; a watch that ends before, ends the test."""
    for _ in range(PATIENCE_S * 20):
        if holds():
            return
        with pytest.raises(TimeoutError):
            watch.wait(0.05)
    assert holds()


def watch_until_the_disk_is_full(session, items, folder):
    """A watch that has come to a pause, and the file to delete for it to go on."""
    gate = threading.Event()
    watch = session.watching(gated(items, gate))
    wait_for(watch, lambda: watch.progress.watched_s >= 4)
    ballast = fill(folder)
    gate.set()
    wait_for(watch, lambda: watch.progress.paused)
    return watch, ballast


def seen(session, stream_id):
    rows = session.memory.rows(stream_ids=(stream_id,), modalities=(reverie.Modality.VISION,))
    return [row.seq for row in rows]


def test_writing_pauses_with_the_reason_and_goes_on_when_there_is_space(small_disk, quick_profile):
    with reverie.open(small_disk / "m", profile=quick_profile, runner="local") as session:
        session.watch(pictures(8, "before"))
        watch, ballast = watch_until_the_disk_is_full(session, pictures(), small_disk)
        assert "no space left" in watch.progress.paused
        assert str(small_disk / "m") in watch.progress.paused
        assert seen(session, "before") == list(range(8))
        assert 0 < len(seen(session, "mine")) < 60
        assert session.ask("What was seen?", stream_ids=("before",)).text
        ballast.unlink()
        progress = watch.wait(PATIENCE_S)
        assert not progress.paused
        assert seen(session, "mine") == list(range(60))
        assert all(stream.ended for stream in session.memory.streams())


def test_a_watch_that_is_stopped_while_it_waits_is_completed_later(small_disk, quick_profile):
    with reverie.open(small_disk / "m", profile=quick_profile, runner="local") as session:
        watch, ballast = watch_until_the_disk_is_full(session, pictures(), small_disk)
        watch.stop()
        watch.wait(PATIENCE_S)
    ballast.unlink()
    with reverie.open(small_disk / "m", profile=quick_profile, runner="local") as session:
        progress = session.watch(pictures())
        assert progress.counters.value("observations_repeated") > 0
        assert seen(session, "mine") == list(range(60))


def test_on_a_full_disk_a_watch_is_refused_and_the_memory_can_be_read(cli, small_disk, tmp_path, quick_profile):
    clip = write_media(tmp_path / "clip.mp4", times_s=every(12.5, 2))
    call = ["watch", clip, "--memory", small_disk / "m", "--profile", quick_profile, "--runner", "local"]
    ballast = fill(small_disk)
    outcome = cli(*call)
    assert (outcome.code, outcome.out) == (1, "")
    assert "no space left" in outcome.err
    assert outcome.err.count("\n") == 1, outcome.err
    ballast.unlink()
    assert cli(*call).code == 0
    fill(small_disk)
    outcome = cli(*call)
    assert outcome.code == 1
    assert "no space left" in outcome.err
    assert cli("timeline", "--memory", small_disk / "m").code == 0
