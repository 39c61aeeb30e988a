"""The live session with a real encoder, a real memory and real answers; few senses, to be quick."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from reverie.errors import MemoryLocked, MemoryStoreError, SourceError, UsageError
from reverie.memory import Memory
from reverie.perception.minilm import MiniLM
from reverie.serve.live import SILENT_S, Busy, Phase
from tests.media import every, numbered, write_media
from tests.serve.conftest import quick_session
from tests.serve.pictures import jpeg_of, opened, plain

WAIT_S = 120


def photograph() -> bytes:
    import skimage

    return jpeg_of(opened((Path(skimage.__file__).parent / "data" / "coffee.png").read_bytes()))


@pytest.fixture
def movie(tmp_path):
    path = tmp_path / "bars.mp4"
    times_s = every(10, 3)
    write_media(path, times_s=times_s, pictures=[numbered(number) for number in range(len(times_s))])
    return path


def test_before_anything_is_watched_it_is_idle_and_says_what_to_do(live):
    assert live.view().phase is Phase.IDLE
    with pytest.raises(MemoryStoreError, match="watch something"):
        live.ask("What was seen?")


@pytest.mark.slow
def test_a_camera_is_shown_remembered_and_answered_from(live):
    stream_id = live.start_camera(1_000.0, has_audio=False)
    picture = photograph()
    for number in range(6):
        live.picture(stream_id, 1_000.0 + 500 * number, picture if number % 2 else plain())
    live.finish()
    live.wait(WAIT_S)
    view = live.view()
    assert (view.phase, view.stream_id, view.live) == (Phase.DONE, stream_id, True)
    assert view.seen_ns == 2_500_000_000
    shown = opened(view.picture)
    assert shown.shape[1] == 640
    assert np.std(shown) > 40, "it is the photograph, not the grey picture"
    assert view.progress.counters.value("moments") > 0
    assert [event.stream_id for event in view.events] == [stream_id] * len(view.events) != []
    answer, latency_ms = live.ask("What was seen?")
    assert latency_ms > 0
    assert {citation.stream_id for citation in answer.citations} == {stream_id}
    assert all((live.directory / citation.thumbnail).is_file() for citation in answer.citations)


def test_a_stream_knows_when_it_was(live, clock):
    before_ns = clock.wall_ns()
    stream_id = live.start_camera(0.0, has_audio=False)
    live.picture(stream_id, 0.0, plain())
    live.finish()
    live.wait(WAIT_S)
    with Memory.open(live.directory, text_encoder=MiniLM()) as memory:
        (record,) = memory.streams()
    assert before_ns <= record.wall_anchor_ns <= clock.wall_ns()


def test_one_at_a_time(live, movie):
    stream_id = live.start_camera(0.0, has_audio=False)
    for start in (lambda: live.start_camera(0.0), lambda: live.start_file(movie)):
        with pytest.raises(Busy, match=f"{stream_id} is being watched already"):
            start()
    live.finish()
    live.wait(WAIT_S)
    live.start_file(movie)
    live.wait(WAIT_S)
    assert live.view().phase is Phase.DONE


def test_an_upload_is_watched_and_then_deleted(live, movie):
    stream_id = live.start_file(movie, delete_after=True)
    live.wait(WAIT_S)
    view = live.view()
    assert (view.phase, view.live) == (Phase.DONE, False)
    assert stream_id.startswith("bars-")
    assert view.picture is not None
    assert view.progress.watched_s == pytest.approx(3, abs=0.2)
    live.close()
    assert not movie.exists()


def test_a_file_of_the_user_is_never_deleted(live, movie):
    live.start_file(movie)
    live.wait(WAIT_S)
    live.close()
    assert movie.exists()


def test_a_bad_upload_is_refused_deleted_and_leaves_no_memory(live, tmp_path):
    fake = tmp_path / "fake.mp4"
    fake.write_text("this is no film\n" * 20)
    with pytest.raises(SourceError, match="it is a text file"):
        live.start_file(fake, delete_after=True)
    view = live.view()
    assert view.phase is Phase.FAILED
    assert "text file" in view.problem
    assert not fake.exists()
    assert not live.directory.exists()
    live.start_camera(0.0)


def test_a_memory_that_another_process_writes_is_left_alone(live):
    with (
        Memory.open(live.directory, text_encoder=MiniLM(), mode="w"),
        pytest.raises(MemoryLocked, match="written already"),
    ):
        live.start_camera(0.0)
    assert "written already" in live.view().problem


def test_a_page_that_is_gone_ends_its_camera(live, clock):
    stream_id = live.start_camera(0.0, has_audio=False)
    live.picture(stream_id, 0.0, plain())
    clock.ahead_ns += round((SILENT_S - 1) * 1e9)
    assert not live.end_silent()
    clock.ahead_ns += round(2 * 1e9)
    live.end_silent()  # or the sweeper was quicker
    live.wait(WAIT_S)
    assert live.view().phase is Phase.DONE


def test_what_comes_after_the_end_is_refused(live):
    stream_id = live.start_camera(0.0, has_audio=False)
    live.finish("another")  # not ours: nothing happens
    live.picture(stream_id, 0.0, plain())
    live.finish(stream_id)
    with pytest.raises(UsageError, match="has ended"):
        live.picture(stream_id, 500.0, plain())
    with pytest.raises(UsageError, match="has ended"):
        live.sound("camera-of-yesterday", 0.0, 48_000, bytes(100))


def test_closing_keeps_what_a_camera_saw(live):
    stream_id = live.start_camera(0.0, has_audio=False)
    for number in range(4):
        live.picture(stream_id, 600.0 * number, photograph())
    live.close()
    with Memory.open(live.directory, text_encoder=MiniLM()) as memory:
        (record,) = memory.streams()
    assert (record.stream_id, record.live, record.ended) == (stream_id, True, True)
    live.close()


@pytest.mark.ray
def test_ray_outlives_the_thread_that_asked_for_it(tmp_path, clock):
    with quick_session(tmp_path, clock, "ray") as live, ThreadPoolExecutor(1) as web:
        stream_id = web.submit(live.start_camera, 0.0, has_audio=False).result()
        web.shutdown()  # Ray's processes would die with the thread if it had started them
        for number in range(4):
            live.picture(stream_id, 600.0 * number, plain(60 * number))
        live.finish()
        live.wait(WAIT_S)
        view = live.view()
        assert (view.phase, view.problem) == (Phase.DONE, "")
        assert view.progress.counters.value("moments") > 0
        assert view.progress.counters.value("recoveries") == 0
