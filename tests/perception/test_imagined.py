"""A file that says it was imagined opens a stream that says so, too."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from reverie.types import IMAGINED, was_imagined
from tests.media import every, watch, write_media

COMMENT = json.dumps({IMAGINED: 1, "model": "world", "prompt": "a red circle"})


def test_a_picture_with_the_comment(tmp_path):
    told = PngInfo()
    told.add_itxt("comment", COMMENT)
    image = Image.fromarray(np.zeros((48, 64, 3), np.uint8))
    (tmp_path / "imagined").mkdir()
    image.save(tmp_path / "imagined" / "000000.png", pnginfo=told)
    (tmp_path / "seen").mkdir()
    image.save(tmp_path / "seen" / "000000.png")
    assert watch(tmp_path / "imagined")[0].imagined
    assert not watch(tmp_path / "seen")[0].imagined
    image.save(tmp_path / "one.webp", xmp=COMMENT.encode())
    assert watch(tmp_path / "one.webp")[0].imagined


def test_a_video_says_it_in_its_metadata(tmp_path):
    told = write_media(tmp_path / "a.mp4", times_s=every(5, 1), metadata={"comment": COMMENT})
    untold = write_media(tmp_path / "b.mp4", times_s=every(5, 1), metadata={"comment": "my holidays"})
    assert [watch(path)[0].imagined for path in (told, untold)] == [True, False]


@pytest.mark.parametrize("comment", ["", "made with love", "[1]", '{"model": "world"}', "null"])
def test_other_comments_say_nothing(comment):
    assert not was_imagined(comment)
    assert was_imagined(COMMENT)
