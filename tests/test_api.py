"""The Python API on real media: paths and iterables, watching in the background, pushing, asking meanwhile."""

import numpy as np
import pytest

import reverie
from reverie.types import NS_PER_S
from tests.media import chirp, every, numbered, write_media

RATE_HZ = 16_000
PATIENCE_S = 120


def frames(seconds, stream_id="mine"):
    """Two numbered pictures a second and half a second of sound with each."""
    sound = chirp(seconds, RATE_HZ)
    for seq in range(2 * seconds):
        pts_ns = seq * NS_PER_S // 2
        first = seq * RATE_HZ // 2
        yield reverie.Frame(stream_id=stream_id, seq=seq, pts_ns=pts_ns, image=numbered(seq))
        yield reverie.AudioChunk(
            stream_id=stream_id,
            seq=seq,
            pts_ns=pts_ns,
            samples=sound[first : first + RATE_HZ // 2].copy(),
            sample_rate_hz=RATE_HZ,
        )


@pytest.fixture
def clip(tmp_path):
    return write_media(tmp_path / "clip.mp4", times_s=every(12.5, 6), seconds=6)


@pytest.fixture
def session(tmp_path, quick_profile):
    with reverie.open(tmp_path / "m", profile=quick_profile, runner="local") as session:
        yield session


def test_five_lines(tmp_path, clip, quick_profile):
    with reverie.open(tmp_path / "m", profile=quick_profile, runner="local") as session:
        progress = session.watch(clip)
        answer = session.ask("What was seen?")
    assert progress.finished
    assert progress.watched_s == pytest.approx(6, abs=0.1)
    assert answer.text
    assert isinstance(answer, reverie.Answer)


def test_a_path_may_be_a_string_and_progress_is_told(session, clip):
    told = []
    session.watch(str(clip), on_progress=lambda progress: told.append(progress.elapsed_s))
    assert told == sorted(told)
    (stream,) = session.memory.streams()
    assert stream.ended
    assert stream.watched.end_s == pytest.approx(6, abs=0.1)


@pytest.mark.parametrize("kind", [list, iter], ids=["list", "generator"])
def test_an_iterable_is_remembered_from_its_first_item_on(session, kind):
    session.watch(kind(list(frames(5))))
    (stream,) = session.memory.streams()
    assert (stream.stream_id, stream.ended, stream.live) == ("mine", True, False)
    seen = session.memory.rows(modalities=(reverie.Modality.VISION,))
    assert [row.span.start_ns for row in seen] == [seq * NS_PER_S // 2 for seq in range(10)]
    assert stream.watched.end_s == pytest.approx(5, abs=0.01)


def test_two_sources_at_once_do_not_mix(session, clip):
    session.watch(clip, frames(4))
    watched = {stream.stream_id: stream.watched.end_s for stream in session.memory.streams()}
    assert len(watched) == 2
    assert watched.pop("mine") == pytest.approx(4, abs=0.01)
    assert next(iter(watched)).startswith("clip-")
    assert {row.stream_id for row in session.memory.rows()} == {stream.stream_id for stream in session.memory.streams()}


def test_the_same_source_twice_is_refused(session, clip):
    with pytest.raises(reverie.UsageError, match="same stream"):
        session.watch(clip, str(clip))
    assert not session.directory.exists()


def test_a_stream_tells_what_its_source_does_not_know(session, clip):
    kitchen = reverie.Stream(clip, "cam 1", place="kitchen", timezone="Europe/Berlin")
    roof = reverie.Stream(frames(4), place="roof")
    session.watch(kitchen, roof)
    told = {stream.stream_id: (stream.place, stream.timezone) for stream in session.memory.streams()}
    assert told == {"cam 1": ("kitchen", "Europe/Berlin"), "mine": ("roof", "")}
    assert {hit.stream_id for hit in session.memory.search(reverie.Query(text="anything", places=("roof",)))} == {
        "mine"
    }


def test_no_source_is_refused(session):
    with pytest.raises(reverie.UsageError, match="at least one source"):
        session.watch()


def test_push_ask_meanwhile_and_finish(session):
    pictures = [item for item in frames(12, "door") if isinstance(item, reverie.Frame)]
    with session.watching(reverie.Push("door", has_audio=False)) as watch:
        watch.push(pictures[:12])
        wait_until(watch, lambda: watch.progress.watched_s >= 3)
        assert watch.running
        meanwhile = session.memory.rows()
        assert meanwhile
        assert session.ask("What was seen?").text
        watch.push(pictures[12:], stream_id="door")
        watch.finish()
        progress = watch.wait(PATIENCE_S)
    assert progress.finished
    (stream,) = session.memory.streams()
    assert stream.live
    assert stream.ended
    assert len(session.memory.rows()) > len(meanwhile)
    assert stream.watched.end_s == pytest.approx(12, abs=0.6)


def test_the_tap_sees_observations_on_their_way_to_memory(session):
    tapped = []
    with session.watching(frames(4), tap=tapped.extend):
        pass
    observed = {(item.modality, item.seq) for item in tapped if isinstance(item, reverie.Observation)}
    assert observed == {(row.modality, row.seq) for row in session.memory.rows()}


def wait_until(watch, holds):
    """Wait for the watch to come so far, or to end with its error."""
    for _ in range(PATIENCE_S * 10):
        if holds():
            return
        try:
            watch.wait(0.1)
        except TimeoutError:
            continue
        break
    assert holds()


def test_the_watch_finishes_live_streams_when_its_block_ends(session):
    with session.watching(reverie.Push("door", has_audio=False)) as watch:
        watch.push([item for item in frames(3, "door") if isinstance(item, reverie.Frame)])
    assert not watch.running
    assert session.memory.streams()[0].ended


def test_what_is_pushed_is_checked(session):
    wrong = reverie.Frame(stream_id="door", seq=0, pts_ns=0, image=np.zeros((4, 4, 3), np.float32).astype(np.uint8))
    with session.watching(reverie.Push("door"), reverie.Push("hall")) as watch:
        with pytest.raises(reverie.UsageError, match="name the stream"):
            watch.push([wrong])
        with pytest.raises(reverie.UsageError):
            watch.push(["not a frame"], stream_id="door")
        watch.finish()


class StopHereError(Exception):
    """Raised inside a block by a test."""


def leave_with_an_error(session):
    with session.watching(reverie.Push("door")) as watch:
        watch.push(list(frames(2, "door")))
        raise StopHereError from None


def test_leaving_the_block_with_an_error_stops_the_watch(session):
    with pytest.raises(StopHereError):
        leave_with_an_error(session)
    assert not any(watch.running for watch in session._watches)


def test_a_stopped_file_is_taken_up_again(session, clip):
    watch = session.watching(clip)
    watch.stop()
    watch.wait(PATIENCE_S)
    session.watch(clip)
    rows = [(row.modality, row.seq) for row in session.memory.rows()]
    assert len(rows) == len(set(rows))
    (stream,) = session.memory.streams()
    assert stream.ended


def test_a_bad_source_leaves_the_memory_untouched(session, clip, tmp_path):
    with pytest.raises(reverie.SourceError, match="no such file"):
        session.watch(clip, tmp_path / "missing.mp4")
    assert not session.directory.exists()
    session.watch(clip)
    before = session.memory.stats()
    with pytest.raises(reverie.SourceError):
        session.watch(tmp_path / "missing.mp4")
    assert session.memory.stats() == before


def test_an_iterable_that_raises_midway_keeps_what_came_before(session):
    def breaking():
        yield from list(frames(4))
        raise OSError("the camera fell off the wall")

    with pytest.raises(reverie.StageError, match="fell off the wall") as raised:
        session.watch(breaking())
    assert "mine" in str(raised.value)
    assert not session.memory.streams() or not session.memory.streams()[0].ended


def test_an_unknown_runner_and_profile_are_refused(tmp_path):
    with pytest.raises(reverie.ConfigError, match="runner"):
        reverie.open(tmp_path / "m", runner="dask")
    with pytest.raises(reverie.ConfigError, match="embedded"):
        reverie.open(tmp_path / "m", profile="enormous")


def test_asking_a_memory_that_is_not_there_is_an_error(session):
    with pytest.raises(reverie.ReverieError, match="no memory at"):
        session.ask("What was seen?")
    assert not session.directory.exists()


def test_a_second_writer_is_told_that_it_is_locked(session, clip):
    with session.watching(reverie.Push("door")) as watch:
        wait_until(watch, lambda: watch.progress.ready_ns > 0)
        other = reverie.open(session.directory, profile=session.profile, runner="local")
        with other, pytest.raises(reverie.MemoryStoreError, match="writ"):
            other.watch(clip)
        watch.finish()


def test_closing_twice_is_fine(tmp_path, clip, quick_profile):
    session = reverie.open(tmp_path / "m", profile=quick_profile, runner="local")
    session.watch(clip)
    session.close()
    session.close()
    assert session.ask("What was seen?").text
    session.close()


@pytest.mark.ray
@pytest.mark.slow
def test_under_ray_an_iterable_runs_here_and_questions_are_answered_elsewhere(tmp_path, quick_profile, ray_session):
    import os

    with reverie.open(tmp_path / "m", profile=quick_profile, runner="ray") as session:
        with session.watching(reverie.Push("door", has_audio=False)) as watch:
            watch.push([item for item in frames(8, "door") if isinstance(item, reverie.Frame)])
            wait_until(watch, lambda: watch.progress.watched_s >= 2)
            assert session.ask("What was seen?").text
            assert session._reasoner.pid() != os.getpid()
        session.watch(frames(5))
        assert {stream.stream_id for stream in session.memory.streams()} == {"door", "mine"}
        seen = session.memory.rows(modalities=(reverie.Modality.VISION,), stream_ids=("mine",))
        assert len(seen) == 10
