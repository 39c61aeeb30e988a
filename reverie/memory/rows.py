"""How the parts of an observation are packed into columns, and unpacked again.

Labels take 6 bytes each (name by id, score as float16), boxes 30 (corners in 1/65535 of the picture),
words are compact JSON with times from the start of the utterance. Names live once, in table `label`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, cast

import numpy as np
from numpy import ndarray

from reverie.types import Box, Label, TimeSpan, Word

LABEL_DTYPE = np.dtype([("label", "<u4"), ("score", "<f2")])
BOX_DTYPE = np.dtype(
    [("track", "<i8"), ("name", "<u4"), ("score", "<f2"), ("corners", "<u2", (4,)), ("since_ns", "<i8")]
)
_FULL = 65535

LabelKey = tuple[str, str]  # (name, kind)
NameOf = Mapping[int, LabelKey]
IdOf = Callable[[str, str], int]


def pack_labels(labels: Sequence[Label], id_of: IdOf) -> bytes | None:
    """Labels to 6 bytes each, None for none. `id_of` numbers a name of a kind."""
    if not labels:
        return None
    rows = [(id_of(label.name, label.kind), label.score) for label in labels]
    return np.array(rows, dtype=LABEL_DTYPE).tobytes()


def label_rows(packed: bytes | None) -> ndarray[Any, Any]:
    """(N,) records of label id and score."""
    return np.frombuffer(packed or b"", dtype=LABEL_DTYPE)


def unpack_labels(packed: bytes | None, name_of: NameOf) -> tuple[Label, ...]:
    """The labels that `pack_labels` packed, scores rounded to float16."""
    return tuple(as_label(name_of[int(row["label"])], float(row["score"])) for row in label_rows(packed))


def as_label(key: LabelKey, score: float) -> Label:
    """Names of tracked things are stored with kind "object"; outside they are classes."""
    kind = "class" if key[1] == "object" else key[1]
    return Label(name=key[0], score=round(score, 4), kind=cast(Literal["class", "colour", "sound"], kind))


def pack_boxes(boxes: Sequence[Box], id_of: IdOf) -> bytes:
    """Boxes to 30 bytes each, corners to the nearest 1/65535."""
    rows = np.zeros(len(boxes), dtype=BOX_DTYPE)
    for row, box in zip(rows, boxes, strict=True):
        row["track"], row["name"], row["score"] = box.track_id, id_of(box.name, "object"), box.score
        corners = np.clip((box.x0, box.y0, box.x1, box.y1), 0.0, 1.0)
        row["corners"] = np.rint(corners * _FULL).astype(np.uint16)
        row["since_ns"] = box.since_ns
    return rows.tobytes()


def box_rows(packed: bytes | None) -> ndarray[Any, Any]:
    """(N,) records of `BOX_DTYPE`."""
    return np.frombuffer(packed or b"", dtype=BOX_DTYPE)


def unpack_boxes(packed: bytes | None, name_of: NameOf) -> tuple[Box, ...]:
    """The boxes that `pack_boxes` packed."""
    boxes = []
    for row in box_rows(packed):
        x0, y0, x1, y1 = (float(corner) / _FULL for corner in row["corners"])
        name = name_of[int(row["name"])][0]
        boxes.append(
            Box(
                track_id=int(row["track"]),
                name=name,
                score=round(float(row["score"]), 4),
                x0=x0,
                y0=y0,
                x1=x1,
                y1=y1,
                since_ns=int(row["since_ns"]),
            )
        )
    return tuple(boxes)


def pack_words(words: Sequence[Word], start_ns: int) -> str | None:
    """Words to JSON, None for none; their times are counted from `start_ns`."""
    if not words:
        return None
    rows = [[w.text, w.span.start_ns - start_ns, w.span.end_ns - start_ns, round(w.score, 3)] for w in words]
    return json.dumps(rows, ensure_ascii=False, separators=(",", ":"))


def unpack_words(packed: str | None, start_ns: int) -> tuple[Word, ...]:
    """The words that `pack_words` packed."""
    return tuple(
        Word(text=text, span=TimeSpan(start_ns=start_ns + start, end_ns=start_ns + end), score=score)
        for text, start, end, score in json.loads(packed or "[]")
    )
