"""Putting a stream together again from the stages that looked at it.

Each input is in order by itself; together they are consumed in (pts, modality, seq) order up to the
smallest watermark of the inputs, so that the result does not depend on which encoder was quicker.
Cuts are aligned (Carbone et al. 2015): a cut is released once it has come in on every input and
all that came before it on any input has been released.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from reverie.types import Cut, EndOfStream, Gap, Item, Modality, Observation, StreamStart, Watermark

Ordered = StreamStart | Gap | Observation
Position = tuple[int, int, int]

_MODALITY_ORDER = {modality: index for index, modality in enumerate(Modality)}
_NEVER = 2**63 - 1


def position(item: Ordered) -> Position:
    """The total order of what one stream sends to memory: (pts_ns, modality, seq), records first."""
    if isinstance(item, StreamStart):
        return (-_NEVER, -1, 0)
    if isinstance(item, Gap):
        return (item.span.start_ns, -1, 0)
    return (item.span.start_ns, _MODALITY_ORDER[item.modality], item.seq)


@dataclass(slots=True)
class _Input:
    """How far one input has come."""

    watermark_ns: int = -_NEVER
    last_cut: int = -1
    ended: bool = False


@dataclass(slots=True)
class _Stream:
    """What one stream is waiting for. An item waits under the last cut that came before it."""

    inputs: dict[str, _Input]
    heap: list[tuple[Position, int, int, Ordered]] = field(default_factory=list)
    num_arrived: int = 0
    waiting_since: Counter[int] = field(default_factory=Counter)
    cuts: dict[int, Cut] = field(default_factory=dict)
    released_ns: int = -_NEVER
    end_ns: int = 0


class OrderedMerge:
    """Merges the inputs of one node, stream by stream.

    `inputs` maps every input's name to the stream it is private to (a source's), or to None when
    all streams come through it (a stage's).
    """

    def __init__(self, inputs: Mapping[str, str | None]) -> None:
        self._inputs = dict(inputs)
        self._streams: dict[str, _Stream] = {}

    def push(self, name: str, items: Sequence[Item]) -> list[Item]:
        """Take items of one input; return what has become certain, in order."""
        touched: dict[str, None] = {}
        for item in items:
            touched[item.stream_id] = None
            stream = self._streams.get(item.stream_id) or self._open(item.stream_id)
            state = stream.inputs[name]
            if isinstance(item, Watermark):
                state.watermark_ns = max(state.watermark_ns, item.pts_ns)
            elif isinstance(item, Cut):
                stream.cuts[item.index] = item
                state.last_cut = item.index
            elif isinstance(item, EndOfStream):
                state.ended, state.watermark_ns = True, _NEVER
                stream.end_ns = max(stream.end_ns, item.pts_ns)
            elif isinstance(item, StreamStart | Gap | Observation):
                stream.waiting_since[state.last_cut] += 1
                heapq.heappush(stream.heap, (position(item), stream.num_arrived, state.last_cut, item))
                stream.num_arrived += 1
            else:
                raise TypeError(f"input {name} sent a {type(item).__name__}, which cannot be merged")
        return [item for stream_id in touched for item in self._release(stream_id)]

    def forget(self, stream_id: str) -> None:
        """Drop all that waits for the stream."""
        self._streams.pop(stream_id, None)

    def num_waiting(self) -> int:
        """Items that wait for a watermark, over all streams."""
        return sum(len(stream.heap) for stream in self._streams.values())

    def _open(self, stream_id: str) -> _Stream:
        senders = {name: _Input() for name, owner in self._inputs.items() if owner in (None, stream_id)}
        self._streams[stream_id] = _Stream(inputs=senders)
        return self._streams[stream_id]

    def _release(self, stream_id: str) -> list[Item]:
        stream = self._streams[stream_id]
        limit_ns = min(state.watermark_ns for state in stream.inputs.values())
        released: list[Item] = []
        while stream.heap and (stream.heap[0][0][0] < limit_ns or isinstance(stream.heap[0][3], StreamStart)):
            _, _, cut_index, item = heapq.heappop(stream.heap)
            stream.waiting_since[cut_index] -= 1
            released.append(item)
        if stream.released_ns < limit_ns < _NEVER:
            stream.released_ns = limit_ns
            released.append(Watermark(stream_id=stream_id, pts_ns=limit_ns))
        for index in sorted(stream.cuts):
            arrived = all(state.ended or state.last_cut >= index for state in stream.inputs.values())
            if not arrived or any(count for since, count in stream.waiting_since.items() if since < index):
                break
            released.append(stream.cuts.pop(index))
        if all(state.ended for state in stream.inputs.values()):
            released.append(EndOfStream(stream_id=stream_id, pts_ns=stream.end_ns))
            del self._streams[stream_id]
        return released
