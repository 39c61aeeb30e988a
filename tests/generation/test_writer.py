import json
import os
import signal
import subprocess
import sys
from contextlib import suppress

import av
import numpy as np
import pytest
from PIL import Image

from reverie.errors import GenerationError, UsageError
from reverie.generation.world import Place
from reverie.generation.writer import VideoWriter

FILM = Place(6).film(["left"] * 30).frames
TOLD = {"model": "world", "seed": 3, "citations": ["kitchen 0:02"]}


def written(path, parts=4, scale=1):
    with VideoWriter(path, 8.0, TOLD, scale) as writer:
        for part in np.array_split(FILM, parts):
            writer.write(part)
    return path


def test_an_mp4_has_every_frame_its_rate_and_its_provenance(tmp_path):
    with av.open(str(written(tmp_path / "a.mp4", scale=4))) as video:
        assert json.loads(video.metadata["comment"]) == TOLD
        frames = [(frame.time, frame.to_ndarray(format="rgb24")) for frame in video.decode(video=0)]
    assert [time for time, _ in frames] == pytest.approx([index / 8 for index in range(31)])
    shown = np.stack([image for _, image in frames])[:, 2::4, 2::4]
    assert np.abs(shown.astype(int) - FILM).mean() < 8


def test_odd_sides_are_filled_up(tmp_path):
    with VideoWriter(tmp_path / "odd.mp4", 8.0, TOLD) as writer:
        writer.write(FILM[:3, :31, :29])
    with av.open(str(tmp_path / "odd.mp4")) as video:
        assert (video.streams.video[0].height, video.streams.video[0].width) == (32, 30)


def test_pngs_are_exact_and_say_what_made_them(tmp_path):
    folder = written(tmp_path / "frames")
    images = [Image.open(path) for path in sorted(folder.iterdir())]
    assert np.array_equal(np.stack([np.asarray(image) for image in images]), FILM)
    assert json.loads(images[5].info["comment"]) == TOLD


def test_a_webp_is_a_preview(tmp_path):
    with Image.open(written(tmp_path / "a.webp")) as image:
        assert image.n_frames == 31
        assert json.loads(image.info["xmp"]) == TOLD


def test_another_suffix_and_a_file_that_is_there_are_refused(tmp_path):
    with pytest.raises(UsageError, match=r"a \.mp4, a \.webp, or a folder"):
        VideoWriter(tmp_path / "a.avi", 8.0, TOLD)
    (tmp_path / "a.mp4").write_text("mine")
    with pytest.raises(UsageError, match="is there already"):
        VideoWriter(tmp_path / "a.mp4", 8.0, TOLD)
    assert (tmp_path / "a.mp4").read_text() == "mine"


def playable(path):
    """Frames until the end, or until the first one that is cut off."""
    count = 0
    with av.open(str(path)) as video, suppress(av.error.InvalidDataError):
        for _ in video.decode(video=0):
            count += 1
    return count


KILLED = """
import sys, time
from pathlib import Path
import numpy as np
from reverie.generation.world import Place
from reverie.generation.writer import VideoWriter
writer = VideoWriter(Path(sys.argv[1]), 8.0, {})
for part in np.array_split(Place(6).film(["left"] * 39).frames, 5):
    writer.write(part)
print("written", flush=True)
time.sleep(60)
"""


def test_after_a_kill_what_was_written_before_the_last_chunk_plays(tmp_path):
    path = tmp_path / "killed.mp4"
    process = subprocess.Popen([sys.executable, "-c", KILLED, str(path)], stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"written\n"
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    process.stdout.close()
    assert playable(path) >= 32


FULL = """
import sys, resource
from pathlib import Path
from reverie.errors import GenerationError
from reverie.generation.world import Place
from reverie.generation.writer import VideoWriter
import signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, 40_000))
frames = Place(6).film(["left"] * 7).frames
writer = VideoWriter(Path(sys.argv[1]), 8.0, {}, scale=8)
try:
    for _ in range(100):
        writer.write(frames)
except GenerationError as error:
    print(error)
"""


def test_when_no_more_can_be_written_it_says_so_and_the_rest_plays(tmp_path):
    path = tmp_path / "full.mp4"
    said = subprocess.run([sys.executable, "-c", FULL, str(path)], capture_output=True, text=True, check=False).stdout
    assert "cannot be written on" in said
    assert "what was written plays" in said
    assert playable(path) > 8


def test_errors_of_other_kinds_are_not_renamed(tmp_path):
    writer = VideoWriter(tmp_path / "a.mp4", 8.0, TOLD)
    with pytest.raises((ValueError, TypeError)):
        writer.write(np.zeros((1, 4, 4), np.uint8))
    assert issubclass(GenerationError, Exception)
