"""The picture as reverie sees it: boxes with the names and numbers of the tracks, drawn on the frame they belong to.

JPEG, boxes in fractions of width and height  ->  JPEG, at most `MAX_SIDE_PX` on its longer side
"""

from __future__ import annotations

import io
from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageFont

from reverie.types import Box

MAX_SIDE_PX = 960
JPEG_QUALITY = 82
# Told apart by people with any colour vision (Okabe and Ito 2008), without its black.
COLOURS = ((230, 159, 0), (86, 180, 233), (0, 158, 115), (240, 228, 66), (0, 114, 178), (213, 94, 0), (204, 121, 167))
_DARK, _LIGHT = (20, 20, 22), (255, 255, 255)


def colour_of(track_id: int) -> tuple[int, int, int]:
    """One track keeps one colour."""
    return COLOURS[track_id % len(COLOURS)]


def draw_boxes(jpeg: bytes, boxes: Sequence[Box], min_width_px: int = 640) -> bytes:
    """Draw tracked things on a picture. Small pictures are enlarged to `min_width_px`, so that labels stay readable."""
    with Image.open(io.BytesIO(jpeg)) as opened:
        picture = opened.convert("RGB")
    scale = min(max(1.0, min_width_px / picture.width), MAX_SIDE_PX / max(picture.size))
    if scale != 1:
        size = (round(picture.width * scale), round(picture.height * scale))
        picture = picture.resize(size, Image.Resampling.LANCZOS)
    draw = ImageDraw.Draw(picture)
    # The largest first, so that what stands before it stays visible.
    for box in sorted(boxes, key=lambda box: (box.x1 - box.x0) * (box.y1 - box.y0), reverse=True):
        _draw(draw, picture.size, box)
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=JPEG_QUALITY)
    return out.getvalue()


def _draw(draw: ImageDraw.ImageDraw, size: tuple[int, int], box: Box) -> None:
    width, height = size
    line_px = max(2, width // 280)
    text_px = max(13, width // 46)
    x0, x1 = sorted((round(box.x0 * (width - 1)), round(box.x1 * (width - 1))))
    y0, y1 = sorted((round(box.y0 * (height - 1)), round(box.y1 * (height - 1))))
    colour = colour_of(box.track_id)
    draw.rounded_rectangle((x0, y0, x1, y1), radius=line_px * 2, outline=colour, width=line_px)
    font = ImageFont.load_default(text_px)
    label = " ".join([*box.name.split(), str(box.track_id)])
    label_width = round(draw.textlength(label, font=font)) + text_px
    label_height = round(text_px * 1.5)
    left = max(0, min(x0, width - label_width))
    top = y0 - label_height if y0 >= label_height else y0
    draw.rounded_rectangle((left, top, left + label_width, top + label_height), radius=line_px * 2, fill=colour)
    ink = _DARK if sum(share * part for share, part in zip((0.3, 0.59, 0.11), colour, strict=True)) > 110 else _LIGHT
    draw.text((left + text_px / 2, top + label_height / 2), label, fill=ink, font=font, anchor="lm")
