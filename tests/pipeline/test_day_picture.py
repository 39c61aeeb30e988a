"""A picture of days has a row for each, and shows what must be told apart."""

from __future__ import annotations

from itertools import pairwise

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


def fill(memory, hours, anchor_ns=None, stream_id="tv", timezone=""):
    """A moment every 2 minutes, now and then an utterance, and one gap."""
    memory.write([
        StreamStart(
            stream_id=stream_id, uri="rtsp://tv", live=True, has_video=True, has_audio=True, wall_anchor_ns=anchor_ns,
            timezone=timezone,
        ),
    ])  # fmt: skip
    for hour in range(hours):
        items = []
        for minute in range(0, 60, 2):
            at_s = 3600 * hour + 60 * minute
            if hour == 1 and 20 <= minute < 40:
                continue
            name = SCENES[(hour + minute // 10) % len(SCENES)]
            picture = hour * 100 + minute if minute % 10 == 0 else None
            items.append(seen(name, at_s, stream_id=stream_id, noise=0.4, picture=picture))
            if minute % 6 == 0:
                items.append(said(f"words of {hour} and {minute}", at_s + 1, at_s + 40, stream_id=stream_id))
        memory.write(items)
        if hour == 1:
            lost = span(3600 + 1200, 3600 + 2400)
            memory.write([Gap(stream_id=stream_id, span=lost, reason="link lost", num_dropped=9)])
    memory.write([EndOfStream(stream_id=stream_id, pts_ns=ns(3600 * hours))])


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


EVENING_NS = ns(1_780_000_000.0)  # 20:26:40 UTC, and 5:26:40 of the next day in Tokyo


def test_days_are_those_of_the_zone_that_all_streams_share(memory, tmp_path):
    fill(memory, 40, EVENING_NS, timezone="Asia/Tokyo")
    pixels, _ = colours_of(day_picture(memory, tmp_path / "tokyo.png"))
    assert pixels.shape[0] == height_px(2)
    rows, told = drawing._rows(memory, None, ())
    assert told == "a row for each day, Asia/Tokyo"
    assert [row.title for row in rows] == ["2026-05-29", "2026-05-30"]
    fill(memory, 40, EVENING_NS, stream_id="door", timezone="Europe/Berlin")
    rows, told = drawing._rows(memory, None, ())
    assert told == "a row for each day, UTC"
    assert [row.title for row in rows] == ["2026-05-28", "2026-05-29", "2026-05-30"] * 2


def test_the_day_on_which_clocks_are_changed_has_its_own_length(memory):
    fill(memory, 72, ns(1_774_612_800.0), timezone="Europe/Berlin")  # Friday 13:00 CET; on Sunday summer time begins
    rows, _ = drawing._rows(memory, None, ())
    assert [row.span.duration_ns // ns(3600) for row in rows] == [24, 24, 23, 24]
    assert all(left.span.end_ns == right.span.start_ns for left, right in pairwise(rows))
    sunday = {text: (at_ns - rows[2].span.start_ns) // ns(3600) for at_ns, text in rows[2].ticks}
    assert (sunday["00:00"], sunday["03:00"], sunday["24:00"]) == (0, 2, 23)


def test_hours_are_those_of_a_zone_that_is_half_an_hour_off(memory):
    fill(memory, 2, EVENING_NS, timezone="Asia/Kolkata")  # 1:56:40
    rows, told = drawing._rows(memory, None, ())
    assert told == "a row for each hour, Asia/Kolkata"
    assert [row.title for row in rows] == ["05-29 01:00", "05-29 02:00", "05-29 03:00"]
    assert rows[1].span.start_ns == ns(200)


def test_what_was_watched_for_a_minute_fills_its_row(memory, tmp_path):
    memory.write([seen(SCENES[at_s // 20], at_s, noise=0.4) for at_s in range(80)])
    memory.write([EndOfStream(stream_id="tv", pts_ns=ns(80))])
    pixels, _ = colours_of(day_picture(memory, tmp_path / "brief.png"))
    events = row_pixels(pixels, 0)[drawing.THUMBNAIL_PX[1] : drawing.THUMBNAIL_PX[1] + drawing.BLOCK_PX - 2]
    assert share(events[:, : -drawing.MARGIN_PX], drawing.LEVELS[0]) > 0.95
    (row,), told = drawing._rows(memory, None, ())
    assert told == "a row for each stream, media time"
    assert [text for _, text in row.ticks][::4] == ["0:00", "0:40", "1:20"]


def test_a_picture_is_a_png(memory, tmp_path):
    fill(memory, 1)
    with pytest.raises(UsageError, match=r"'days.txt' the ending .png"):
        day_picture(memory, tmp_path / "days.txt")
    assert not (tmp_path / "days.txt").exists()


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
