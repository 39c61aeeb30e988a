"""A contact sheet: the key frames that an answer cites, each with its time and what was perceived there."""

from __future__ import annotations

import io
import textwrap
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from reverie.memory import Memory
from reverie.pipeline.show import minutes
from reverie.types import Answer, Citation

TILE_WIDTH_PX, TILE_HEIGHT_PX, CAPTION_HEIGHT_PX, MARGIN_PX = 384, 216, 74, 14
PAPER, INK, MUTED, EMPTY = (250, 249, 246), (28, 28, 30), (120, 118, 114), (226, 223, 216)
MAX_TILES = 6
COLUMNS = 3


def contact_sheet(question: str, answer: Answer, path: Path, memory: Memory) -> Path:
    """Draw what the answer cites of a memory, best first, and write the picture to `path` (PNG). Returns `path`.

    The memory notes it as a copy: it shows key frames.
    """
    citations = answer.citations[:MAX_TILES]
    columns = max(2, min(COLUMNS, len(citations)))
    rows = -(-len(citations) // columns)
    width = MARGIN_PX + columns * (TILE_WIDTH_PX + MARGIN_PX)
    heading = _wrap(question, width, 20)[:2] + _wrap(answer.text, width, 15)[:4]
    top = 2 * MARGIN_PX + 26 * len(heading)
    sheet = Image.new("RGB", (width, top + rows * (TILE_HEIGHT_PX + CAPTION_HEIGHT_PX + MARGIN_PX)), PAPER)
    draw = ImageDraw.Draw(sheet)
    num_question = len(_wrap(question, width, 20)[:2])
    for index, line in enumerate(heading):
        size, ink = (20, INK) if index < num_question else (15, MUTED)
        draw.text((MARGIN_PX, MARGIN_PX + 26 * index), line, fill=ink, font=ImageFont.load_default(size))
    for index, citation in enumerate(citations):
        x = MARGIN_PX + index % columns * (TILE_WIDTH_PX + MARGIN_PX)
        y = top + index // columns * (TILE_HEIGHT_PX + CAPTION_HEIGHT_PX + MARGIN_PX)
        _tile(sheet, draw, citation, (x, y), memory)
    path.parent.mkdir(parents=True, exist_ok=True)
    sheet.save(path)
    memory.note_copy("contact sheet", path)
    return path


def _tile(
    sheet: Image.Image, draw: ImageDraw.ImageDraw, citation: Citation, corner: tuple[int, int], memory: Memory
) -> None:
    x, y = corner
    draw.rectangle((x, y, x + TILE_WIDTH_PX, y + TILE_HEIGHT_PX), fill=EMPTY)
    try:
        jpeg = memory.picture(citation.thumbnail) if citation.thumbnail else None
    except FileNotFoundError:  # forgotten since
        jpeg = None
    if jpeg is None:
        draw.text((x + 12, y + 12), "no picture", fill=MUTED, font=ImageFont.load_default(15))
    else:
        with Image.open(io.BytesIO(jpeg)) as picture:
            picture.thumbnail((TILE_WIDTH_PX, TILE_HEIGHT_PX))
            sheet.paste(picture, (x + (TILE_WIDTH_PX - picture.width) // 2, y + (TILE_HEIGHT_PX - picture.height) // 2))
    span = f"{minutes(citation.span.start_s)} - {minutes(citation.span.end_s)}"
    draw.text((x, y + TILE_HEIGHT_PX + 5), f"{span}   {citation.modality}", fill=INK, font=ImageFont.load_default(15))
    for index, line in enumerate(_wrap(citation.text, TILE_WIDTH_PX, 13)[:2]):
        at = (x, y + TILE_HEIGHT_PX + 28 + 18 * index)
        draw.text(at, line, fill=MUTED, font=ImageFont.load_default(13))


def _wrap(text: str, width_px: int, size_px: int) -> list[str]:
    drawable = text.replace("\N{EN DASH}", "-")  # Pillow's own font lacks it
    return textwrap.wrap(drawable, max(10, int((width_px - 2 * MARGIN_PX) / (size_px * 0.52)))) or [""]
