"""Still pictures: one, a directory, a numbered sequence."""

import numpy as np
import pytest
from PIL import Image

from reverie.perception.sources import SamplingConfig, SourceConfig
from reverie.types import NS_PER_S, Frame, Gap
from tests.media import check_order, number_of, numbered, of, watch


def test_directory_of_pictures_in_natural_order(tmp_path):
    for i in range(12):
        Image.fromarray(numbered(i)).save(tmp_path / f"shot{i}.png")
    (tmp_path / "notes.txt").write_text("not a picture")
    start, items = watch(tmp_path, SourceConfig(pictures_fps=4, sampling=SamplingConfig(fps=4, gate=False)))
    assert [number_of(f.image) for f in of(Frame, items)] == list(range(12))
    assert [f.pts_ns for f in of(Frame, items)] == [i * NS_PER_S // 4 for i in range(12)]
    assert start.duration_ns == items[-1].pts_ns == 3 * NS_PER_S


def test_numbered_pattern(tmp_path):
    for i in (3, 4, 7):
        Image.fromarray(numbered(i)).save(tmp_path / f"img_{i:04d}.png")
    Image.fromarray(numbered(9)).save(tmp_path / "other_0009.png")
    _, items = watch(str(tmp_path / "img_%04d.png"))
    assert [number_of(f.image) for f in of(Frame, items)] == [3, 4, 7]


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "bmp", "tiff"])
def test_single_picture(tmp_path, suffix):
    path = tmp_path / f"one.{suffix}"
    Image.fromarray(numbered(77)).save(path)
    start, items = watch(path)
    assert number_of(of(Frame, items)[0].image) == 77
    assert start.duration_ns == items[-1].pts_ns == NS_PER_S // 2


def test_exif_orientation(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # stored turned; upright after a quarter clockwise
    stored = np.ascontiguousarray(np.rot90(numbered(77)))
    Image.fromarray(stored).save(tmp_path / "turned.png", exif=exif)
    image = of(Frame, watch(tmp_path / "turned.png")[1])[0].image
    assert number_of(image) == 77


def test_broken_picture_in_a_sequence_is_a_gap(tmp_path):
    for i in range(5):
        Image.fromarray(numbered(i)).save(tmp_path / f"{i}.png")
    (tmp_path / "2.png").write_bytes((tmp_path / "2.png").read_bytes()[:300])
    _, items = watch(tmp_path)
    check_order(items)
    (gap,) = of(Gap, items)
    assert (gap.span.start_s, gap.span.end_s, gap.num_dropped) == (1.0, 1.5, 1)
    assert "2.png" in gap.reason
    assert [number_of(f.image) for f in of(Frame, items)] == [0, 1, 3, 4]
