"""What an observation must be to enter a memory."""

from __future__ import annotations

import math
from dataclasses import replace

from reverie.memory.vectors import is_unit
from reverie.types import Modality, Observation

_LATEST_NS = 1 << 62  # 146 years: sums of two times still fit SQLite's integers


def is_sound(item: Observation) -> bool:
    """Whether every number is finite and in range, and the vector, if any, is a unit one of a named encoder."""
    numbers = [item.confidence, *(label.score for label in item.labels), *(word.score for word in item.words)]
    numbers += [number for box in item.boxes for number in (box.score, box.x0, box.y0, box.x1, box.y1)]
    if not all(math.isfinite(number) for number in numbers):
        return False
    if item.arousal is not None and not 0 <= item.arousal <= 1:
        return False
    times = [item.span.start_ns, item.span.end_ns, item.seq]
    times += [number for box in item.boxes for number in (box.since_ns, box.track_id)]
    if not all(-_LATEST_NS < number < _LATEST_NS for number in times):
        return False
    return item.embedding is None or (bool(item.encoder) and is_unit(item.embedding))


def with_text(item: Observation) -> Observation:
    """Sound without a text is searched by the names of what was heard."""
    if item.modality is Modality.SOUND and not item.text and item.labels:
        return replace(item, text=", ".join(label.name for label in item.labels))
    return item
