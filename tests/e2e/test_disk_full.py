"""A disk of 16 MB that fills up: writing waits and says so, reading goes on, and with space again so does writing."""

import os
import shutil
import subprocess

import pytest

import reverie
from reverie.errors import MemoryFull
from reverie.types import NS_PER_S
from tests.media import numbered

PATIENCE_S = 60


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 16 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = shutil.which("mount")
    if command is None or os.geteuid() != 0:
        pytest.skip("mounting a small file system needs root and mount")
    mounted = subprocess.run([command, "-t", "tmpfs", "-o", "size=16m", "tmpfs", str(folder)], capture_output=True)
    if mounted.returncode != 0:
        pytest.skip(f"cannot mount a tmpfs here: {mounted.stderr.decode().strip()}")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def pictures(num):
    return [
        reverie.Frame(stream_id="mine", seq=seq, pts_ns=seq * NS_PER_S // 2, image=numbered(37 * seq))
        for seq in range(num)
    ]


def fill(folder, name="ballast", spare_bytes=0):
    """Take all space that is left but for `spare_bytes`."""
    free_bytes = os.statvfs(folder).f_bavail * os.statvfs(folder).f_frsize
    (folder / name).write_bytes(b"\0" * max(0, free_bytes - spare_bytes))
    return folder / name


def wait_for(watch, holds):
    for _ in range(PATIENCE_S * 20):
        if holds():
            return
        with pytest.raises(TimeoutError):  # whatever ends the watch here, ends the test
            watch.wait(0.05)
    assert holds()


def test_writing_pauses_with_the_reason_and_goes_on_when_there_is_space(small_disk, quick_profile):
    directory = small_disk / "m"
    with reverie.open(directory, profile=quick_profile, runner="local") as session:
        session.watch(pictures(8)[:8])
        before = session.memory.rows()
        profile = session.profile
    ballast = fill(small_disk)
    with reverie.open(directory, profile=profile, runner="local") as session:
        second = [
            reverie.Frame(stream_id="more", seq=item.seq, pts_ns=item.pts_ns, image=item.image) for item in pictures(60)
        ]
        watch = session.watching(second)
        wait_for(watch, lambda: watch.progress.paused)
        assert "no space left" in watch.progress.paused
        assert str(directory) in watch.progress.paused
        assert [row for row in session.memory.rows() if row.stream_id == "mine"] == before
        assert session.ask("What was seen?", stream_ids=("mine",)).text
        ballast.unlink()
        progress = watch.wait(PATIENCE_S)
        assert progress.finished
        assert not progress.paused
        more = [row.seq for row in session.memory.rows(stream_ids=("more",), modalities=(reverie.Modality.VISION,))]
        assert more == list(range(60))
        assert all(stream.ended for stream in session.memory.streams())


def test_a_watch_that_is_stopped_while_it_waits_is_completed_later(small_disk, quick_profile):
    directory = small_disk / "m"
    frames = pictures(60)
    with reverie.open(directory, profile=quick_profile, runner="local") as session:
        session.watch(frames[:8])
    ballast = fill(small_disk)
    with reverie.open(directory, profile=quick_profile, runner="local") as session:
        watch = session.watching(frames)
        wait_for(watch, lambda: watch.progress.paused)
        watch.stop()
        watch.wait(PATIENCE_S)
    ballast.unlink()
    with reverie.open(directory, profile=quick_profile, runner="local") as session:
        session.watch(frames)
        seen = [row.seq for row in session.memory.rows(modalities=(reverie.Modality.VISION,))]
        assert seen == list(range(60))


def test_a_new_memory_on_a_full_disk_is_an_error_that_says_so(small_disk, quick_profile):
    fill(small_disk)
    with reverie.open(small_disk / "m", profile=quick_profile, runner="local") as session:
        with pytest.raises(MemoryFull, match="no space left") as raised:
            session.watch(pictures(4))
    assert raised.value.retryable
