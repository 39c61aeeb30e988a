"""A picture of days has a row for each, and shows what must be told apart."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from reverie.errors import UsageError
from reverie.memory import Memory
from reverie.memory.demotion import Demoted, demote
from reverie.pipeline import day_picture as drawing
from reverie.pipeline.day_picture import day_picture
from reverie.types import EndOfStream, Gap, StreamStart, ns
from tests.memory.worlds import BagOfWords, said, seen, span

SCENES = ("tabby cat", "sports car", "mountain", "pizza")


@pytest.fixture
def memory(tmp_path):
    with Memory.open(tmp_path / "home.memory", text_encoder=BagOfWords(), mode="w") as memory:
        yield memory


def fill(memory, hours, anchor_ns=None):
    """A moment every 2 minutes, now and then an utterance, and one gap."""
    memory.write([
        StreamStart(
            stream_id="tv", uri="rtsp://tv", live=True, has_video=True, has_audio=True, wall_anchor_ns=anchor_ns
        ),
    ])  # fmt: skip
    for hour in range(hours):
        items = []
        for minute in range(0, 60, 2):
            at_s = 3600 * hour + 60 * minute
            if hour == 1 and 20 <= minute < 40:
                continue
            name = SCENES[(hour + minute // 10) % len(SCENES)]
            items.append(seen(name, at_s, noise=0.4, picture=hour * 100 + minute if minute % 10 == 0 else None))
            if minute % 6 == 0:
                items.append(said(f"words of {hour} and {minute}", at_s + 1, at_s + 40))
        memory.write(items)
        if hour == 1:
            memory.write([Gap(stream_id="tv", span=span(3600 + 1200, 3600 + 2400), reason="link lost", num_dropped=9)])
    memory.write([EndOfStream(stream_id="tv", pts_ns=ns(3600 * hours))])


def colours_of(path):
    with Image.open(path) as opened:
        pixels = np.asarray(opened.convert("RGB"))
    found = {tuple(colour) for colour in np.unique(pixels.reshape(-1, 3), axis=0).tolist()}
    return pixels, found


def height_px(rows):
    return drawing.TITLE_PX + drawing.LEGEND_PX + rows * drawing.ROW_PX + drawing.MARGIN_PX


def row_pixels(pixels, number):
    top = drawing.TITLE_PX + drawing.LEGEND_PX + number * drawing.ROW_PX
    return pixels[top : top + drawing.ROW_PX, drawing.LEFT_PX :]


def share(pixels, colour):
    return float((pixels == np.array(colour)).all(axis=-1).mean())


def test_a_short_memory_has_a_row_for_each_hour(memory, tmp_path):
    fill(memory, 3)
    path = day_picture(memory, tmp_path / "out" / "days.png")
    pixels, _ = colours_of(path)
    assert pixels.shape == (height_px(3), drawing.WIDTH_PX, 3)
    for number in range(3):
        row = row_pixels(pixels, number)
        assert share(row, drawing.LEVELS[0]) > 0.05
        assert share(row, drawing.SPEECH) > 0.005
        assert share(row, drawing.SURPRISE) > 0
        shown = row[: drawing.THUMBNAIL_PX[1]]
        assert share(shown, drawing.PAPER) < 0.98  # key frames
    assert share(row_pixels(pixels, 1), drawing.GAP) > 0.005 > share(row_pixels(pixels, 0), drawing.GAP)
    (copy,) = memory.forget(span=span(0, 1)).copies
    assert (copy.kind, copy.path) == ("picture of days", str(path))


def test_days_by_the_wall_clock_levels_and_pins(memory, tmp_path):
    fill(memory, 40, anchor_ns=ns(1_780_000_000.0))  # 20:26 UTC: 40 hours are on three days
    with memory._store.transaction() as db:
        events = [event for (event,) in db.execute("SELECT id FROM event WHERE NOT open ORDER BY start_ns")]
        demoted = Demoted()
        for number, event in enumerate(events):
            for _ in range(number * 4 // len(events)):
                demote(db, event, demoted, 0.0)
    memory._store.pictures.remove(demoted.pictures)
    memory.pin(span(3600 * 30, 3600 * 32))
    pixels, found = colours_of(day_picture(memory, tmp_path / "days.png"))
    assert pixels.shape[0] == height_px(3)
    legend = pixels[: drawing.TITLE_PX + drawing.LEGEND_PX]
    levels = {event.level for event in memory.timeline()}
    assert levels >= {0, 1, 3}
    for level in levels:
        assert share(pixels[len(legend) :], drawing.LEVELS[level]) > 0.001
    assert set(drawing.LEVELS.values()) <= found
    first = row_pixels(pixels, 0)
    assert share(first[:, : first.shape[1] // 2], drawing.LEVELS[3]) == 0  # the first day begins in the evening
    assert share(row_pixels(pixels, 2), drawing.PIN) > share(first, drawing.PIN)


def test_a_part_can_be_chosen_and_nothing_cannot_be_drawn(memory, tmp_path, monkeypatch):
    fill(memory, 3)
    pixels, _ = colours_of(day_picture(memory, tmp_path / "part.png", span(3700, 3800)))
    assert pixels.shape[0] == height_px(1)
    with pytest.raises(UsageError, match="nothing was watched there"):
        day_picture(memory, tmp_path / "none.png", span(90_000, 90_001))
    with pytest.raises(UsageError, match="no stream is called"):
        day_picture(memory, tmp_path / "none.png", stream_ids=("nobody",))
    monkeypatch.setattr(drawing, "MAX_ROWS", 2)
    with pytest.raises(UsageError, match="3 rows: choose a part"):
        day_picture(memory, tmp_path / "none.png")
    assert not (tmp_path / "none.png").exists()
