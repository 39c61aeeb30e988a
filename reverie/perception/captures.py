"""Parts of pictures that wait to be read, and reading them all in one go.

Recognition costs about half a second for a whole picture, and is allowed once in ten seconds; captions
come faster. So the rows in which something new looks like text are cut out and kept, and when reading is
allowed the strips of several pictures are stacked into one, recognised together, and taken apart again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace

import cv2
import numpy as np

from reverie.perception.ocr import Line, TextReader
from reverie.perception.rgb import Rgb
from reverie.perception.strokes import Area, Strokes

_GAP_PX = 12
_MARGIN_PX = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Strip:
    """Full-width rows of a picture: `pixels` from `top` on, of a picture `height` rows high."""

    pixels: Rgb = field(repr=False)
    top: int
    height: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Capture:
    """What looked like text in one picture; `thumbnail` is the whole of it, as JPEG.

    `floor_ns` bounds how far back its onset may be sought.
    """

    pts_ns: int
    floor_ns: int
    areas: tuple[Area, ...]
    strips: tuple[Strip, ...]
    strokes: Strokes = field(repr=False)
    thumbnail: bytes = field(repr=False)

    @property
    def num_rows(self) -> int:
        return sum(len(strip.pixels) for strip in self.strips)


@dataclass(frozen=True, slots=True, kw_only=True)
class TextBlock:
    """Lines that stand together, read as one: top to bottom, left to right."""

    text: str
    score: float
    area: Area


def cut_strips(image: Rgb, areas: Iterable[Area]) -> tuple[Strip, ...]:
    """Copies of the rows around areas, those that touch joined."""
    height = len(image)
    return tuple(Strip(pixels=image[a:b].copy(), top=a, height=height) for a, b in _rows(areas, height))


def within_budget(
    captures: Sequence[Capture], max_rows: int, stood_ns: Callable[[Capture, Area], int]
) -> tuple[list[Capture], list[Area]]:
    """Drop areas until the rows of the rest are at most `max_rows`; returns what is kept and what was dropped.

    Those go first that stood the shortest, of these the tallest: a caption stands while the texture around it moves,
    and has to outlive what its rows were joined with. One area is always kept.
    """
    left = [list(capture.areas) for capture in captures]
    if sum(capture.num_rows for capture in captures) <= max_rows:
        return list(captures), []
    ranked = sorted(
        (stood_ns(capture, area), area.y0 - area.y1, index, place)
        for index, capture in enumerate(captures)
        for place, area in enumerate(capture.areas)
    )
    num_rows = [capture.num_rows for capture in captures]
    dropped: list[Area] = []
    for _, _, index, place in ranked[:-1]:
        if sum(num_rows) <= max_rows:
            break
        area = captures[index].areas[place]
        left[index].remove(area)
        dropped.append(area)
        num_rows[index] = sum(b - a for a, b in _rows(left[index], captures[index].strips[0].height))
    return [_narrowed(capture, areas) for capture, areas in zip(captures, left, strict=True) if areas], dropped


def _narrowed(capture: Capture, areas: Sequence[Area]) -> Capture:
    """A capture of some of its areas, without the rows that only the others needed."""
    if len(areas) == len(capture.areas):
        return capture
    height = capture.strips[0].height
    strips = []
    for top, bottom in _rows(areas, height):
        whole = next(s for s in capture.strips if s.top <= top and bottom <= s.top + len(s.pixels))
        strips.append(Strip(pixels=whole.pixels[top - whole.top : bottom - whole.top].copy(), top=top, height=height))
    return replace(capture, areas=tuple(areas), strips=tuple(strips))


def _rows(areas: Iterable[Area], height: int) -> list[tuple[int, int]]:
    """The rows around areas of a picture `height` rows high, as (first, one past the last)."""
    rows: list[tuple[int, int]] = []
    for area in sorted(areas, key=lambda area: area.y0):
        grown = area.grown(0, 0.5 * (area.y1 - area.y0) + _MARGIN_PX / height)
        top, bottom = round(grown.y0 * height), round(grown.y1 * height)
        if rows and top <= rows[-1][1]:
            rows[-1] = (min(rows[-1][0], top), max(rows[-1][1], bottom))
        else:
            rows.append((top, bottom))
    return rows


def read_captures(reader: TextReader, captures: Sequence[Capture]) -> list[list[Line]]:
    """Recognise the strips of all captures in one picture; lines per capture, placed in its own picture."""
    strips = [(index, strip) for index, capture in enumerate(captures) for strip in capture.strips]
    if not strips:
        return [[] for _ in captures]
    width = max(strip.pixels.shape[1] for _, strip in strips)
    sheet_rows, tops = [], []
    position = 0
    for _, strip in strips:
        tops.append(position)
        right = width - strip.pixels.shape[1]
        sheet_rows.append(
            cv2.copyMakeBorder(strip.pixels, 0, _GAP_PX, 0, right, cv2.BORDER_CONSTANT, value=(127.0,) * 3)
        )
        position += len(sheet_rows[-1])
    lines: list[list[Line]] = [[] for _ in captures]
    for line in reader.read(np.concatenate(sheet_rows)):
        middle = (line.area.y0 + line.area.y1) / 2 * position
        place = max(index for index, top in enumerate(tops) if top <= middle)
        owner, strip = strips[place]
        lines[owner].append(_in_picture(line, strip, tops[place], position, width))
    return lines


def group_lines(lines: Sequence[Line]) -> list[TextBlock]:
    """Join lines that stand close together into blocks, as a reader would."""
    groups: list[list[Line]] = []
    for line in sorted(lines, key=lambda line: (line.area.y0 + line.area.y1, line.area.x0)):
        near = [group for group in groups if any(_stand_together(line.area, other.area) for other in group)]
        groups = [group for group in groups if all(group is not other for other in near)]
        groups.append([other for group in near for other in group] + [line])
    return [_block(group) for group in groups]


def _block(group: Sequence[Line]) -> TextBlock:
    rows: list[list[Line]] = []
    for line in sorted(group, key=lambda line: line.area.y0 + line.area.y1):
        middle = (line.area.y0 + line.area.y1) / 2
        if rows and rows[-1][0].area.y0 <= middle <= rows[-1][0].area.y1:
            rows[-1].append(line)
        else:
            rows.append([line])
    ordered = [line for row in rows for line in sorted(row, key=lambda line: line.area.x0)]
    area = ordered[0].area
    for line in ordered[1:]:
        area = area.union(line.area)
    score = sum(line.score for line in ordered) / len(ordered)
    return TextBlock(text=" ".join(line.text for line in ordered), score=score, area=area)


def _stand_together(a: Area, b: Area) -> bool:
    """Lines of like height: one below the other with little between, or side by side within a letter's width."""
    height_a, height_b = a.y1 - a.y0, b.y1 - b.y0
    smaller, larger = sorted((height_a, height_b))
    if larger > 2 * smaller:
        return False
    gap_x, gap_y = max(a.x0, b.x0) - min(a.x1, b.x1), max(a.y0, b.y0) - min(a.y1, b.y1)
    below = gap_x < 0 and gap_y < 0.9 * larger
    beside = gap_y < -0.5 * smaller and gap_x < larger
    return below or beside


def _in_picture(line: Line, strip: Strip, top: int, sheet_height: int, sheet_width: int) -> Line:
    to_x = sheet_width / strip.pixels.shape[1]
    y0, y1 = ((y * sheet_height - top + strip.top) / strip.height for y in (line.area.y0, line.area.y1))
    area = Area(x0=min(1.0, line.area.x0 * to_x), y0=max(0.0, y0), x1=min(1.0, line.area.x1 * to_x), y1=min(1.0, y1))
    return Line(text=line.text, score=line.score, area=area)
