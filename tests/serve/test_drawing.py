import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reverie.serve.drawing import COLOURS, MAX_SIDE_PX, colour_of, draw_boxes
from reverie.types import Box
from tests.serve.pictures import opened, plain


def box(x0=0.25, y0=0.5, x1=0.75, y1=0.9, track_id=2, name="dog"):
    return Box(track_id=track_id, name=name, score=0.9, x0=x0, y0=y0, x1=x1, y1=y1, since_ns=0)


def near(pixels, colour):
    return np.abs(pixels.astype(int) - colour).max(axis=-1) < 40


def test_a_box_is_drawn_where_it_was_found_in_the_colour_of_its_track():
    image = opened(draw_boxes(plain(size=(640, 360)), [box()]))
    drawn = near(image, colour_of(2))
    rows, columns = np.nonzero(drawn[170:])
    assert abs(columns.min() - 0.25 * 640) < 4
    assert abs(columns.max() - 0.75 * 640) < 4
    assert abs(rows.max() + 170 - 0.9 * 360) < 4
    inside = image[int(0.6 * 360) : int(0.8 * 360), int(0.35 * 640) : int(0.65 * 640)]
    assert np.abs(inside.astype(int) - 120).max() < 12, "the thing itself is not painted over"


def test_without_boxes_the_picture_is_as_it_was():
    assert np.abs(opened(draw_boxes(plain(size=(640, 360)), [])).astype(int) - 120).max() < 4


@pytest.mark.parametrize(
    ("size", "expected"), [((160, 90), (360, 640)), ((1920, 1080), (540, 960)), ((90, 1600), (960, 54))]
)
def test_small_pictures_are_enlarged_and_large_ones_reduced(size, expected):
    assert opened(draw_boxes(plain(size=size), [box()])).shape[:2] == expected


def test_a_track_keeps_its_colour_and_neighbours_differ():
    assert colour_of(3) == colour_of(3 + len(COLOURS))
    assert len({colour_of(track_id) for track_id in range(len(COLOURS))}) == len(COLOURS)


@settings(max_examples=30, deadline=None)
@given(st.tuples(*[st.floats(-0.2, 1.2)] * 4), st.text(max_size=30))
def test_any_box_and_any_name_can_be_drawn(corners, name):
    image = opened(draw_boxes(plain(), [box(*corners, name=name)]))
    assert max(image.shape) <= MAX_SIDE_PX
