"""What a memory knows of something, in the form that a video can begin with.

    "continue what happened at 14:03"
    "show the kitchen as it was this morning, from the left"

A phrase is asked as a question, without the words that say what to do with it. The key frames of what was found, in
time order, are what a video goes on from; the one that answers best is the anchor; what was said and named there is the
prompt, unless one is given; a side that is named is where the camera goes. Only what was seen is gone on with: streams
that were imagined are not searched.
"""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from numpy import ndarray

from reverie.errors import UsageError
from reverie.generation.chunks import ChunkModel
from reverie.memory import Memory
from reverie.pipeline.build import Answerer
from reverie.pipeline.config import Profile
from reverie.types import Citation, Modality, TimeSpan

_TO_DO = re.compile(
    r"^\s*(please\s+)?(continue|go on with|carry on with|extend|imagine|show( me)?|dream of|replay|relive)\s+", re.I
)
_AS_IT_WAS = re.compile(r",?\s*\b(as|like|the way) (it|he|she|they|that) (was|were|looked|happened)\b", re.I)
_SIDE = re.compile(r",?\s*\b(?:from (?:the )?|(?:to|towards?) the )(left|right|above|below|top|bottom)\b", re.I)
_SIDES = {"above": "up", "top": "up", "below": "down", "bottom": "down"}
_MOST_PICTURES = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Recollection:
    """What was found.

    Attributes:
        frames: (T, H, W, 3) key frames in time order, as large as the model's.
        anchor: (H, W, 3) the one that answers best.
        prompt: what was said and named there, as far as the model knows it.
        actions: where the phrase has the camera go.
        citations: what it was found by.
    """

    frames: UInt8[ndarray, "t h w 3"]
    anchor: UInt8[ndarray, "h w 3"]
    prompt: str
    actions: tuple[str, ...]
    citations: tuple[Citation, ...]


def recollect(directory: str | Path, about: str, model: ChunkModel, profile: Profile) -> Recollection:
    """Find what a phrase means, and bring it into the form of a model.

    Raises:
        UsageError: nothing was found, or no picture of it is kept.
        NotPerceivable: it is of a kind that the model cannot imagine.
    """
    asked, side = read(about)
    answerer = Answerer(Path(directory).resolve(), profile)
    try:
        memory = answerer.memory
        answer = answerer.ask(asked)
        citations = answer.citations
        if citations:
            best = citations[0]
            places = [(best.stream_id, _event_around(memory, best))]
        else:
            streams, span = answerer.looked_in(asked)
            if span is None:
                raise UsageError(f"nothing to go on from: {answer.text}")
            places = [(stream, span) for stream in streams]
        shown = [picture for stream, span in places for picture in _pictures(memory, stream, span)][-_MOST_PICTURES:]
        if not shown:
            raise UsageError(f"nothing to go on from: no picture is kept of {asked!r}")
        frames = np.stack([_as_large(memory.picture(name), model.size) for _, name in shown])
        names = [name for _, name in shown]
        thumbnail = citations[0].thumbnail if citations else None
        anchor = frames[names.index(thumbnail) if thumbnail in names else 0]
        told = " ".join([citation.text for citation in citations] + _words(memory, places))
    finally:
        answerer.close()
    model.check_frames(frames)
    actions = (side,) if side in model.actions else ()
    return Recollection(
        frames=frames, anchor=anchor, prompt=model.understood(told), actions=actions, citations=citations
    )


def read(about: str) -> tuple[str, str]:
    """A phrase as a question, and the side from which it is to be seen ("" if none is named).

    Raises:
        UsageError: nothing is left of it.
    """
    found = _SIDE.search(about)
    side = _SIDES.get(found[1].lower(), found[1].lower()) if found else ""
    asked = _TO_DO.sub("", _AS_IT_WAS.sub("", _SIDE.sub("", about))).strip(" ,.")
    if not asked:
        raise UsageError(f'cannot read {about!r}: say what of the memory to go on from, as in "the kitchen at 14:03"')
    return asked, side


def _event_around(memory: Memory, citation: Citation) -> TimeSpan:
    events = memory.timeline(citation.span, (citation.stream_id,))
    spans = [citation.span, *(event.span for event in events)]
    return TimeSpan(start_ns=min(span.start_ns for span in spans), end_ns=citation.span.end_ns)


def _pictures(memory: Memory, stream: str, span: TimeSpan) -> list[tuple[int, str]]:
    """(time, name) of the key frames of a span in time order, each once."""
    hits = memory.observations((Modality.VISION,), (stream,), span, limit=10_000, newest=True)
    first: dict[str, int] = {}
    for hit in hits:
        if hit.thumbnail is not None:
            first.setdefault(hit.thumbnail, hit.span.start_ns)
    return sorted((at_ns, name) for name, at_ns in first.items())


def _words(memory: Memory, places: Sequence[tuple[str, TimeSpan]]) -> list[str]:
    """What was said, written and named in some spans."""
    found = [event for stream, span in places for event in memory.timeline(span, (stream,))]
    return [event.text for event in found] + [label.name for event in found for label in event.labels]


def _as_large(jpeg: bytes, size: tuple[int, int]) -> UInt8[ndarray, "h w 3"]:
    """The middle of a picture in the shape of a model's frames."""
    from PIL import Image, ImageOps

    with Image.open(io.BytesIO(jpeg)) as image:
        height, width = size
        fitted = ImageOps.fit(image.convert("RGB"), (width, height), Image.Resampling.BOX)
    return np.asarray(fitted, dtype=np.uint8)
