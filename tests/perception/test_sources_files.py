"""Files of every container: exact times, all sound, nothing twice, from any point again."""

import shutil
import subprocess
from datetime import UTC, datetime
from itertools import pairwise

import numpy as np
import pytest

from reverie.clock import ManualClock
from reverie.perception.sources import FileSource, open_source
from reverie.types import NS_PER_S, AudioChunk, EndOfStream, Frame, Gap, Watermark
from tests.media import (
    EVERY_FRAME,
    PLAIN,
    SIDE,
    check_order,
    chirp,
    every,
    heard,
    number_of,
    numbered,
    of,
    pull_all,
    watch,
    write_media,
)

CONTAINERS = [
    ("mp4", "libx264", "aac", 44_100),
    ("mkv", "libx264", "aac", 48_000),
    ("webm", "libvpx", "libopus", 48_000),
    ("mov", "libx264", "pcm_s16le", 22_050),
    ("avi", "mpeg4", "libmp3lame", 44_100),
    ("ts", "libx264", "aac", 44_100),
    ("flv", "libx264", "aac", 44_100),
    ("gif", "gif", "", 0),
    ("wav", "", "pcm_s16le", 44_100),
    ("wav", "", "pcm_s16le", 16_000),
    ("flac", "", "flac", 48_000),
    ("mp3", "", "libmp3lame", 44_100),
    ("ogg", "", "libopus", 48_000),
]


@pytest.mark.parametrize(("suffix", "vcodec", "acodec", "rate_hz"), CONTAINERS)
def test_every_container_gives_its_pictures_and_sound_at_their_times(tmp_path, suffix, vcodec, acodec, rate_hz):
    seconds = 6.0
    path = write_media(
        tmp_path / f"clip.{suffix}",
        times_s=every(10, seconds) if vcodec else (),
        vcodec=vcodec,
        seconds=seconds if acodec else 0,
        acodec=acodec,
        rate_hz=rate_hz,
        size=SIDE,
    )
    start, items = watch(path)
    check_order(items)
    assert (start.has_video, start.has_audio) == (bool(vcodec), bool(acodec))
    assert not of(Gap, items)
    assert [f.seq for f in of(Frame, items)] == list(range(len(of(Frame, items))))
    if vcodec:
        frames = of(Frame, items)
        assert len(frames) == 12
        for frame in frames:
            # some muxers shift all streams by the delay of the encoder; sound and pictures stay together
            assert number_of(frame.image) == pytest.approx(frame.pts_ns / 1e9 * 10, abs=1.1 if acodec else 0.1)
        assert [f.pts_ns * 2 // NS_PER_S for f in frames] == list(range(12))
    if acodec:
        chunks = of(AudioChunk, items)
        assert {c.sample_rate_hz for c in chunks} == {16_000}
        assert all(c.samples.dtype == np.float32 and c.samples.ndim == 1 for c in chunks)
        for before, after in pairwise(chunks):
            assert abs(before.span.end_ns - after.pts_ns) <= 1
        sound = heard(chunks)
        assert len(sound) == pytest.approx(seconds * 16_000, abs=0.1 * 16_000)
        assert best_shift(sound, chirp(seconds, 16_000)) < 0.06


def best_shift(sound: np.ndarray, truth: np.ndarray) -> float:
    """Seconds by which the sound is off, by its strongest cross-correlation in a window of one second."""
    window = truth[40_000:56_000]
    scores = np.correlate(sound[36_000:60_000], window, "valid")
    assert scores.max() > 0.7 * float(window @ window)
    return abs(int(scores.argmax()) - 4_000) / 16_000


def test_sound_is_what_went_in(tmp_path):
    path = write_media(tmp_path / "a.flac", seconds=3.0, acodec="flac", rate_hz=48_000)
    sound = heard(of(AudioChunk, watch(path)[1]))
    assert len(sound) == 48_000
    assert np.abs(sound - chirp(3.0, 16_000))[50:-50].max() < 2e-3


def test_variable_frame_rate_keeps_exact_times(tmp_path):
    times = [0.0, 0.04, 0.08, 0.7, 0.71, 2.9, 3.0, 3.333, 8.0]
    path = write_media(tmp_path / "vfr.mkv", times_s=times)
    frames = of(Frame, watch(path, EVERY_FRAME)[1])
    assert [f.pts_ns / 1e9 for f in frames] == pytest.approx(times, abs=1e-3)
    assert [number_of(f.image) for f in frames] == list(range(len(times)))
    sampled = of(Frame, watch(path)[1])
    assert [number_of(f.image) for f in sampled] == [0, 3, 5, 6, 8]


@pytest.mark.parametrize("suffix", ["mkv", "ts", "mp4"])
def test_media_time_starts_at_the_earliest_start(tmp_path, suffix):
    path = write_media(tmp_path / f"late.{suffix}", times_s=every(10, 2), seconds=2, start_s=100.0)
    start, items = watch(path, EVERY_FRAME)
    frames = of(Frame, items)
    assert min(i.pts_ns for i in items if isinstance(i, Frame | AudioChunk)) == 0
    assert frames[10].pts_ns - frames[0].pts_ns == pytest.approx(NS_PER_S, abs=2e6)
    assert frames[0].pts_ns < 0.1 * NS_PER_S
    assert start.duration_ns == pytest.approx(2 * NS_PER_S, rel=0.1)


def test_reordered_pictures_come_in_order(tmp_path):
    path = write_media(tmp_path / "b.mp4", times_s=every(25, 4), b_frames=3, preset="medium")
    frames = of(Frame, watch(path, EVERY_FRAME)[1])
    assert [number_of(f.image) for f in frames] == list(range(100))
    assert [f.pts_ns for f in frames] == [i * NS_PER_S // 25 for i in range(100)]


@pytest.mark.parametrize("rotation", [0, 90, 180, -90])
def test_rotation_flag_is_applied(tmp_path, rotation):
    upright = numbered(1234)
    stored = np.ascontiguousarray(np.rot90(upright, -rotation // 90))
    size = (stored.shape[1], stored.shape[0])
    path = write_media(tmp_path / "r.mp4", times_s=[0, 0.1], pictures=[stored] * 2, size=size, rotation=rotation)
    frame = of(Frame, watch(path)[1])[0]
    assert frame.image.shape == upright.shape
    assert number_of(frame.image) == 1234
    assert np.abs(frame.image.astype(int) - upright).mean() < 6


def test_mirrored_display_matrix():
    from reverie.perception.upright import _turn, turned

    image = numbered(5)
    one = 1 << 16
    assert _turn(one, 0, 0, one) == (0, False)
    assert (turned(image, _turn(-one, 0, 0, one)) == image[:, ::-1]).all()
    assert (turned(image, _turn(one, 0, 0, -one)) == image[::-1]).all()
    assert (turned(image, _turn(0, one, -one, 0)) == np.rot90(image, -1)).all()
    assert (turned(image, _turn(0, one, one, 0)) == image.transpose(1, 0, 2)).all()


def test_large_pictures_are_scaled_down(tmp_path):
    path = write_media(tmp_path / "big.mp4", times_s=[0, 0.1], size=(1920, 1088))
    image = of(Frame, watch(path)[1])[0].image
    assert image.shape == (725, 1280, 3)
    assert image.flags.c_contiguous


def test_resolution_may_change(tmp_path):
    paths = [
        write_media(tmp_path / f"{i}.ts", times_s=every(10, 2), size=size, start_s=2.0 * i)
        for i, size in enumerate([SIDE, (640, 480)])
    ]
    joined = tmp_path / "joined.ts"
    joined.write_bytes(b"".join(p.read_bytes() for p in paths))
    frames = of(Frame, watch(joined, EVERY_FRAME)[1])
    assert {f.image.shape for f in frames} == {(144, 192, 3), (480, 640, 3)}
    assert len(frames) >= 38


def test_joined_files_get_one_rising_time(tmp_path):
    one = write_media(tmp_path / "one.ts", times_s=every(10, 3), seconds=3)
    joined = tmp_path / "joined.ts"
    joined.write_bytes(one.read_bytes() * 2)
    _, items = watch(joined, EVERY_FRAME)
    check_order(items)
    frames = of(Frame, items)
    assert len(frames) == pytest.approx(60, abs=2)
    second = next(f for f in frames[5:] if number_of(f.image) == 0)
    assert second.pts_ns == pytest.approx(3 * NS_PER_S, abs=0.2 * NS_PER_S)
    assert len(heard(of(AudioChunk, items))) == pytest.approx(6 * 16_000, rel=0.05)


def test_stream_of_one_kind(tmp_path):
    silent = write_media(tmp_path / "v.mp4", times_s=every(10, 2))
    sound = write_media(tmp_path / "a.m4a", seconds=2)
    assert {type(i) for i in watch(silent)[1]} == {Frame, EndOfStream}
    assert {type(i) for i in watch(sound)[1]} == {AudioChunk, EndOfStream}


def test_sound_that_ends_early_does_not_hold_pictures_back(tmp_path):
    path = write_media(tmp_path / "short.mkv", times_s=every(5, 40), seconds=2.0)
    source = FileSource(path, PLAIN)
    source.open()
    held = []
    while not (items := source.pull()) or not isinstance(items[-1], EndOfStream):
        held.append(len(source.snapshot()["intake"][0].pending))
        check_order(items)
    assert max(held) <= 2 * (10 + 4)  # max_skew_s and one batch of sampled pictures


# --- identity and anchor ------------------------------------------------------------------------------------------


def test_same_content_is_the_same_stream_and_other_content_is_not(tmp_path):
    one = write_media(tmp_path / "My Clip.mp4", times_s=every(10, 1))
    (tmp_path / "elsewhere").mkdir()
    two = shutil.copy(one, tmp_path / "elsewhere" / "My Clip.mp4")
    other = write_media(tmp_path / "other.mp4", times_s=every(10, 2))
    ids = [FileSource(path).open().stream_id for path in (one, two, other)]
    assert ids[0] == ids[1] != ids[2]
    assert ids[0].startswith("my-clip-")
    assert FileSource(one, stream_id="mine").open().stream_id == "mine"


@pytest.mark.parametrize(
    ("stated", "expected"),
    [
        ("2024-05-06T07:08:09.000000Z", datetime(2024, 5, 6, 7, 8, 9, tzinfo=UTC)),
        ("1904-01-01T00:00:00.000000Z", None),
        ("2099-01-01T00:00:00.000000Z", None),
        (None, None),
    ],
)
def test_wall_anchor_only_from_a_plausible_creation_time(tmp_path, stated, expected):
    metadata = {"creation_time": stated} if stated else {}
    path = write_media(tmp_path / "a.mkv", times_s=[0, 0.1], metadata=metadata)
    clock = ManualClock(wall_ns=int(datetime(2026, 1, 1, tzinfo=UTC).timestamp()) * NS_PER_S)
    anchor = FileSource(path, clock=clock).open().wall_anchor_ns
    assert anchor == (None if expected is None else int(expected.timestamp()) * NS_PER_S)


def test_counters_and_the_end(tmp_path):
    source = FileSource(write_media(tmp_path / "a.mp4", times_s=every(25, 6), seconds=6))
    source.open()
    pull_all(source)
    assert source.pull() == []
    assert source.counters.value("frames_decoded") == 150
    assert source.counters.value("frames_sampled") == 12
    assert source.counters.value("audio_seconds") == pytest.approx(6, abs=0.1)
    source.close()
    source.close()


def test_batches_are_bounded_by_media_time(tmp_path):
    source = FileSource(write_media(tmp_path / "a.mp4", times_s=every(10, 20), seconds=20), PLAIN)
    source.open()
    for edge_s in (4, 8, 12, 16):
        items = source.pull()
        assert items[-1] == Watermark(stream_id=source.stream_id, pts_ns=edge_s * NS_PER_S)
        assert len(of(Frame, items)) == 8
        assert len(of(AudioChunk, items)) == 8


def test_open_source_chooses(tmp_path):
    path = write_media(tmp_path / "a.mp4", times_s=[0, 0.1])
    for spec in (path, str(path), f"file://{path}"):
        source = open_source(spec)
        assert isinstance(source, FileSource)
        assert source.open().has_video


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="the ffmpeg binary is not installed")
def test_pictures_equal_those_of_ffmpeg(tmp_path):
    path = write_media(tmp_path / "a.mp4", times_s=every(10, 3), b_frames=2)
    decoded = subprocess.run(
        ["ffmpeg", "-v", "error", "-i", path, "-f", "rawvideo", "-pix_fmt", "rgb24", "-"],
        capture_output=True,
        check=True,
    ).stdout
    theirs = np.frombuffer(decoded, np.uint8).reshape(-1, SIDE[1], SIDE[0], 3)
    ours = of(Frame, watch(path, EVERY_FRAME)[1])
    assert len(ours) == len(theirs) == 30
    for frame, other in zip(ours, theirs, strict=True):
        assert np.abs(frame.image.astype(int) - other).mean() < 2
