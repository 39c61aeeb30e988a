"""A picture of days: what a memory holds of each day, and how coarsely, at a glance.

One row for each day of each stream, or for each hour where all of it is shorter than 6 hours, or for the whole where
that is at most ten minutes. Days and hours are those of the streams' zone where they share one, else of UTC:

    thumbnails   key frames, where there is room
    blocks       events, coloured by level: whole, representatives, short codes, episodes; pins have a frame
    line         surprise of the moments, 0 at the bottom and the highest of the picture at the top
    band         speech
    hatched      gaps: what was lost or forgotten
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, tzinfo
from itertools import pairwise
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from reverie.errors import UsageError
from reverie.memory import Memory
from reverie.memory.retention import EPISODE_LEVEL
from reverie.pipeline.show import minutes
from reverie.types import NS_PER_S, Event, Modality, StreamRecord, TimeSpan, ns, zone_named

PAPER, INK, MUTED, EMPTY = (250, 249, 246), (28, 28, 30), (120, 118, 114), (233, 231, 226)
# Told apart by people with any colour vision (Okabe and Ito 2008); darker is coarser.
LEVELS = {0: (86, 180, 233), 1: (0, 158, 115), 2: (230, 159, 0), 3: (0, 114, 178)}
LEVEL_NAMES = {0: "whole", 1: "representatives", 2: "short codes", 3: "episode"}
SURPRISE, SPEECH, GAP, PIN = (170, 40, 0), (204, 121, 167), (150, 148, 144), (28, 28, 30)
WIDTH_PX, LEFT_PX, MARGIN_PX = 1600, 150, 24
THUMBNAIL_PX, BLOCK_PX, LINE_PX, BAND_PX, ROW_GAP_PX = (96, 54), 26, 34, 10, 26
ROW_PX = THUMBNAIL_PX[1] + BLOCK_PX + LINE_PX + BAND_PX + ROW_GAP_PX
LEGEND_PX, TITLE_PX = 40, 44
MAX_ROWS = 100
_MINUTE_NS, _HOUR_NS, _DAY_NS = ns(60.0), ns(3600.0), ns(86_400.0)
_SHORT_NS, _BRIEF_NS = 6 * _HOUR_NS, 10 * _MINUTE_NS
_BRIEF_STEPS_NS = tuple(ns(float(step_s)) for step_s in (1, 2, 5, 10, 20, 30, 60, 120))


@dataclass(frozen=True, slots=True)
class _Row:
    """One day or hour of one stream, in its media time; `ticks` are times and what is written there."""

    stream: StreamRecord
    span: TimeSpan
    title: str
    ticks: Sequence[tuple[int, str]]

    def x_of(self, at_ns: int) -> float:
        """Where a time is drawn; outside of the row's span at its edges."""
        share = (at_ns - self.span.start_ns) / self.span.duration_ns
        return LEFT_PX + min(max(share, 0.0), 1.0) * (WIDTH_PX - LEFT_PX - MARGIN_PX)


def day_picture(memory: Memory, path: Path, span: TimeSpan | None = None, stream_ids: tuple[str, ...] = ()) -> Path:
    """Draw a memory, or a span of some of its streams, and write the picture to `path` (PNG). Returns `path`.

    The memory notes it as a copy: it shows key frames.

    Raises:
        UsageError: `path` does not end in .png, nothing was watched there, or it would take more than 100 rows.
    """
    if path.suffix.lower() != ".png":
        raise UsageError(f"a picture of days is a PNG: give {path.name!r} the ending .png")
    rows, told = _rows(memory, span, stream_ids)
    if not rows:
        raise UsageError("nothing was watched there: there is nothing to draw")
    if len(rows) > MAX_ROWS:
        raise UsageError(f"the picture would have {len(rows)} rows: choose a part with --from, --to or --stream")
    sheet = Image.new("RGB", (WIDTH_PX, TITLE_PX + LEGEND_PX + len(rows) * ROW_PX + MARGIN_PX), PAPER)
    draw = ImageDraw.Draw(sheet)
    draw.text((MARGIN_PX, 14), f"{memory.root.name}: {told}", fill=INK, font=_font(20))
    _legend(draw, TITLE_PX)
    surprises = {id(row): memory.surprises(row.stream.stream_id, row.span) for row in rows}
    highest = max((value for found in surprises.values() for _, value in found), default=0.0)
    for number, row in enumerate(rows):
        top = TITLE_PX + LEGEND_PX + number * ROW_PX
        _draw_row(sheet, draw, memory, row, top, surprises[id(row)], highest or 1.0)
    path.parent.mkdir(parents=True, exist_ok=True)
    sheet.save(path, "PNG")
    memory.note_copy("picture of days", path)
    return path


def _rows(memory: Memory, span: TimeSpan | None, stream_ids: tuple[str, ...]) -> tuple[list[_Row], str]:
    """The rows, and what they are of."""
    memory.require_streams(stream_ids)
    shown: list[tuple[StreamRecord, TimeSpan]] = []
    for stream in memory.streams():
        low_ns, high_ns = stream.watched.start_ns, stream.watched.end_ns
        if span is not None:
            low_ns, high_ns = max(low_ns, span.start_ns), min(high_ns, span.end_ns)
        if low_ns < high_ns and (not stream_ids or stream.stream_id in stream_ids):
            shown.append((stream, TimeSpan(start_ns=low_ns, end_ns=high_ns)))
    longest_ns = max((part.duration_ns for _, part in shown), default=0)
    zone = _zone([stream for stream, _ in shown])
    if longest_ns <= _BRIEF_NS:
        unit, rows = "stream", [_brief(stream, part, longest_ns, zone) for stream, part in shown]
    elif longest_ns <= _SHORT_NS:
        unit, rows = "hour", [row for stream, part in shown for row in _hours(stream, part, zone)]
    else:
        unit, rows = "day", [row for stream, part in shown for row in _days(stream, part, zone)]
    return rows, f"a row for each {unit}, {'media time' if zone is None else zone}"


def _zone(streams: Sequence[StreamRecord]) -> tzinfo | None:
    """The zone of all streams that know the wall clock, UTC where they do not share one, None where none knows it."""
    zones = {stream.timezone for stream in streams if stream.wall_anchor_ns is not None}
    if not zones:
        return None
    (name, *others) = zones
    return zone_named(name) if name and not others else UTC


def _brief(stream: StreamRecord, part: TimeSpan, length_ns: int, zone: tzinfo | None) -> _Row:
    """All that was watched, as long as the longest: of a minute in an hour nothing could be told apart."""
    step_ns = next(step_ns for step_ns in _BRIEF_STEPS_NS if length_ns <= 8 * step_ns)
    ticks = [(part.start_ns + at_ns, minutes(at_ns / NS_PER_S)) for at_ns in range(0, length_ns + 1, step_ns)]
    row = TimeSpan(start_ns=part.start_ns, end_ns=part.start_ns + length_ns)
    return _Row(stream, row, _title(stream, part.start_ns, "%m-%d %H:%M:%S", zone), ticks)


def _hours(stream: StreamRecord, part: TimeSpan, zone: tzinfo | None) -> Iterator[_Row]:
    """Full hours of the clock, or of media time."""
    past_ns = 0  # of the hour, when media time begins
    if stream.wall_anchor_ns is not None:
        begun = _wall(stream, 0, zone)
        past_ns = begun.minute * _MINUTE_NS + begun.second * NS_PER_S + stream.wall_anchor_ns % NS_PER_S
    for start_ns in range((part.start_ns + past_ns) // _HOUR_NS * _HOUR_NS - past_ns, part.end_ns, _HOUR_NS):
        ticks = [(start_ns + minute * _MINUTE_NS, f"{minute} min") for minute in range(0, 61, 10)]
        row = TimeSpan(start_ns=start_ns, end_ns=start_ns + _HOUR_NS)
        yield _Row(stream, row, _title(stream, start_ns, "%m-%d %H:%M", zone), ticks)


def _days(stream: StreamRecord, part: TimeSpan, zone: tzinfo | None) -> Iterator[_Row]:
    """Days from midnight to midnight, of 23 or 25 hours where clocks are changed, or days of media time."""
    if (anchor_ns := stream.wall_anchor_ns) is None:
        number = part.start_ns // _DAY_NS
    else:
        number = _wall(stream, part.start_ns, zone).toordinal()

    def at_ns(hour: int) -> int:
        if anchor_ns is None:
            return number * _DAY_NS + hour * _HOUR_NS
        day = date.fromordinal(number + hour // 24)
        return round(datetime.combine(day, time(hour % 24), zone).timestamp()) * NS_PER_S - anchor_ns

    while at_ns(0) < part.end_ns:
        ticks = [(at_ns(hour), f"{hour:02d}:00") for hour in range(0, 25, 3)]
        title = f"day {number + 1}" if anchor_ns is None else date.fromordinal(number).isoformat()
        yield _Row(stream, TimeSpan(start_ns=at_ns(0), end_ns=at_ns(24)), title, ticks)
        number += 1


def _title(stream: StreamRecord, at_ns: int, pattern: str, zone: tzinfo | None) -> str:
    """When a row begins, by the wall clock, or where that is not known in media time."""
    if stream.wall_anchor_ns is None:
        return f"from {minutes(at_ns / NS_PER_S)}"
    return _wall(stream, at_ns, zone).strftime(pattern)


def _wall(stream: StreamRecord, at_ns: int, zone: tzinfo | None) -> datetime:
    """Exact to the second, as are the offsets of zones."""
    return datetime.fromtimestamp(((stream.wall_anchor_ns or 0) + at_ns) // NS_PER_S, zone)


def _draw_row(
    sheet: Image.Image,
    draw: ImageDraw.ImageDraw,
    memory: Memory,
    row: _Row,
    top: int,
    surprises: Sequence[tuple[int, float]],
    highest: float,
) -> None:
    names, chosen = (row.stream.stream_id,), row.span
    events = memory.timeline(chosen, names)
    blocks = top + THUMBNAIL_PX[1]
    line, band = blocks + BLOCK_PX, blocks + BLOCK_PX + LINE_PX
    draw.text((MARGIN_PX, blocks + 2), row.title, fill=INK, font=_font(15))
    stream = row.stream.stream_id if len(row.stream.stream_id) <= 16 else row.stream.stream_id[:15] + "."
    draw.text((MARGIN_PX, blocks + 24), stream, fill=MUTED, font=_font(13))
    draw.rectangle((LEFT_PX, blocks, WIDTH_PX - MARGIN_PX, band + BAND_PX), fill=EMPTY)
    for event in events:
        box = (row.x_of(event.span.start_ns), blocks, max(_before(row.x_of(event.span.end_ns)), 0), line - 2)
        draw.rectangle((box[0], box[1], max(box[2], box[0]), box[3]), fill=LEVELS[min(event.level, EPISODE_LEVEL)])
    for said in memory.rows(chosen, (Modality.SPEECH,), names):
        x0, x1 = row.x_of(said.span.start_ns), row.x_of(said.span.end_ns)
        draw.rectangle((x0, band, max(_before(x1), x0), band + BAND_PX), fill=SPEECH)
    gaps = [gap.span for gap in memory.gaps(names) if gap.span.overlaps(chosen)]
    _line(draw, row, surprises, gaps, (line + 2, band - 3), highest)
    for gap in gaps:
        _hatch(draw, row.x_of(gap.start_ns), row.x_of(gap.end_ns), blocks, line - 2)
    for pin in memory.pins():
        if pin.stream_id in names and pin.span.overlaps(chosen):
            x0, x1 = row.x_of(pin.span.start_ns), row.x_of(pin.span.end_ns)
            draw.rectangle((x0, blocks - 3, max(x1, x0 + 2), line), outline=PIN, width=2)
    _ticks(draw, row, band + BAND_PX)
    _thumbnails(sheet, memory, row, events, top)


def _before(x: float) -> float:
    """A hair is left between neighbours, so that events can be told apart."""
    return x - 2


def _line(
    draw: ImageDraw.ImageDraw,
    row: _Row,
    surprises: Sequence[tuple[int, float]],
    gaps: Sequence[TimeSpan],
    edges: tuple[int, int],
    highest: float,
) -> None:
    """The highest surprise of each column of pixels, joined where nothing was lost in between."""
    columns: dict[int, tuple[int, float]] = {}
    for at_ns, value in surprises:
        x = round(row.x_of(at_ns))
        columns[x] = max(columns.get(x, (at_ns, 0.0)), (at_ns, value), key=lambda moment: moment[1])
    top, bottom = edges
    points = [(x, bottom - (bottom - top) * columns[x][1] / highest, columns[x][0]) for x in sorted(columns)]
    for x, y, _ in points:
        draw.rectangle((x - 1, y - 1, x, y), fill=SURPRISE)
    for (x0, y0, since_ns), (x1, y1, until_ns) in pairwise(points):
        if not any(since_ns < gap.end_ns and gap.start_ns < until_ns for gap in gaps):
            draw.line((x0, y0, x1, y1), fill=SURPRISE, width=1)


def _hatch(draw: ImageDraw.ImageDraw, x0: float, x1: float, top: int, bottom: int) -> None:
    left, right = round(x0), max(round(x1), round(x0) + 2)
    draw.rectangle((left, top, right, bottom), fill=PAPER, outline=GAP)
    for x in range(left - (bottom - top), right, 6):
        start, end = max(x, left), min(x + (bottom - top), right)
        if start < end:
            draw.line((start, bottom - (start - x), end, bottom - (end - x)), fill=GAP)


def _ticks(draw: ImageDraw.ImageDraw, row: _Row, top: int) -> None:
    for at_ns, text in row.ticks:
        x = row.x_of(at_ns)
        draw.line((x, top, x, top + 4), fill=MUTED)
        anchor = "la" if at_ns == row.span.start_ns else "ra" if at_ns == row.span.end_ns else "ma"
        draw.text((x, top + 5), text, fill=MUTED, font=_font(11), anchor=anchor)


def _thumbnails(sheet: Image.Image, memory: Memory, row: _Row, events: Sequence[Event], top: int) -> None:
    """Key frames of events from left to right, each above the beginning of its event, as many as do not overlap."""
    free = float(LEFT_PX)
    shown: str | None = None
    for event in events:
        x = max(row.x_of(event.span.start_ns), float(LEFT_PX))
        if (
            event.thumbnail is None
            or event.thumbnail == shown
            or x < free
            or x + THUMBNAIL_PX[0] > WIDTH_PX - MARGIN_PX
        ):
            continue
        try:
            data = memory.picture(str(event.thumbnail))
        except FileNotFoundError:
            continue
        with Image.open(io.BytesIO(data)) as opened:
            picture = opened.convert("RGB")
        picture.thumbnail(THUMBNAIL_PX)
        sheet.paste(picture, (round(x), top + THUMBNAIL_PX[1] - picture.height - 2))
        shown, free = event.thumbnail, x + picture.width + 6


def _legend(draw: ImageDraw.ImageDraw, top: int) -> None:
    x = MARGIN_PX
    for level, colour in LEVELS.items():
        draw.rectangle((x, top + 2, x + 18, top + 16), fill=colour)
        x = _word(draw, x + 24, top, LEVEL_NAMES[level])
    draw.line((x, top + 14, x + 9, top + 4, x + 18, top + 12), fill=SURPRISE)
    x = _word(draw, x + 24, top, "surprise")
    draw.rectangle((x, top + 5, x + 18, top + 13), fill=SPEECH)
    x = _word(draw, x + 24, top, "speech")
    _hatch(draw, x, x + 18, top + 2, top + 16)
    x = _word(draw, x + 24, top, "gap")
    draw.rectangle((x, top + 2, x + 18, top + 16), outline=PIN, width=2)
    _word(draw, x + 24, top, "pinned")


def _word(draw: ImageDraw.ImageDraw, x: int, top: int, text: str) -> int:
    draw.text((x, top), text, fill=INK, font=_font(14))
    return x + round(draw.textlength(text, font=_font(14))) + 26


def _font(size_px: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size_px)
