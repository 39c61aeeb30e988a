"""What an observation must be to enter a memory."""

from __future__ import annotations

import operator
from collections.abc import Iterable
from dataclasses import replace
from numbers import Integral

from reverie.memory.schema import MODALITY_CODES
from reverie.memory.vectors import is_unit
from reverie.types import EndOfStream, Gap, Modality, Observation, StreamStart, Watermark

_LATEST_NS = 1 << 62  # 146 years: sums of two times still fit SQLite's integers
_LARGEST, _LARGEST_SCORE = 1e30, 65_504.0  # a float32, a float16 can be


def is_sound(item: Observation) -> bool:
    """Whether every number is finite and in range, every text can be stored, and the vector, if any, is a unit one."""
    if not isinstance(item.seq, Integral) or item.modality not in MODALITY_CODES:
        return False
    numbers = [item.confidence, *(word.score for word in item.words)]
    numbers += [number for box in item.boxes for number in (box.x0, box.y0, box.x1, box.y1)]
    scores = [label.score for label in item.labels] + [box.score for box in item.boxes]
    if not (all(-_LARGEST < n < _LARGEST for n in numbers) and all(abs(n) <= _LARGEST_SCORE for n in scores)):
        return False
    if item.arousal is not None and not 0 <= item.arousal <= 1:
        return False
    times = [item.span.start_ns, item.span.end_ns, item.seq]
    times += [number for box in item.boxes for number in (box.since_ns, box.track_id)]
    times += [number for word in item.words for number in (word.span.start_ns, word.span.end_ns)]
    texts = [item.stream_id, item.text, item.encoder, *(word.text for word in item.words)]
    texts += [text for label in item.labels for text in (label.name, label.kind)] + [*(box.name for box in item.boxes)]
    if not _fit(times) or not all(map(_can_be_stored, texts)):
        return False
    return item.embedding is None or (bool(item.encoder) and is_unit(item.embedding))


def is_well_formed(item: StreamStart | Watermark | Gap | EndOfStream) -> bool:
    """Whether its times are in range, and its names can be stored."""
    if isinstance(item, Gap):
        numbers = [item.span.start_ns, item.span.end_ns, item.num_dropped]
        return _fit(numbers) and _can_be_stored(item.stream_id + item.reason)
    if isinstance(item, StreamStart):
        named = item.stream_id + item.uri + item.place + item.timezone
        return _fit([item.wall_anchor_ns or 0, item.duration_ns or 0]) and _can_be_stored(named)
    return _fit([item.pts_ns]) and _can_be_stored(item.stream_id)


def _fit(times: Iterable[int]) -> bool:
    return all(-_LATEST_NS < number < _LATEST_NS for number in times)


def _can_be_stored(text: str) -> bool:
    """Whether it is Unicode: half of a pair of surrogates, which some recognisers let through, is not."""
    return text.isascii() or not any("\ud800" <= letter <= "\udfff" for letter in text)


def with_text(item: Observation) -> Observation:
    """Sound without a text is searched by the names of what was heard."""
    if item.modality is Modality.SOUND and not item.text and item.labels:
        return replace(item, text=", ".join(label.name for label in item.labels))
    return item


def with_plain_seq(item: Observation) -> Observation:
    """SQLite takes no integers of NumPy."""
    return item if type(item.seq) is int else replace(item, seq=operator.index(item.seq))
