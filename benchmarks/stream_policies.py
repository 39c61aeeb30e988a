"""What is kept of a composed stream when bytes are few: reverie's forgetting, and what it is compared with.

Every policy ends as a memory that was written through `Memory.write` and is asked through `Memory.search`, so only what
is kept differs. `reverie` (any MemoryConfig) watches the whole stream under its byte budget. The others
are given the bytes that its directory takes once it is closed, keep an equal share of moments and utterances, and write
those into a memory without a budget, found by trying until the bytes agree within 2 %:

- append only     everything, whatever it takes
- fifo            the newest part of the stream
- thinning        every n-th moment and every n-th utterance
- merging         MovieChat's (Song et al. 2024, section 3.2): the most alike of all neighbours merge, again and again,
                  their vectors and names averaged, their spans joined; of utterances that merge, the text nearest
                  to their mean stays, the others are dropped
- deletion        whole events by reverie's own retention, no coarser levels in between
"""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from benchmarks.composed import Composed
from reverie.memory.retention import score, strength_of
from reverie.types import Label, Modality, Observation, TextEncoder, TimeSpan

Keep = Callable[[Composed, float], list[Observation]]  # a share in (0, 1] of the stream
_MOST_LABELS = 12


def fifo(stream: Composed, share: float) -> list[Observation]:
    count = round(share * len(stream.observations))
    return list(stream.observations[len(stream.observations) - count :])


def thinning(stream: Composed, share: float) -> list[Observation]:
    moments, texts = _apart(stream)
    kept = [item for place in _every(len(moments), share) for item in moments[place]]
    kept += [texts[place] for place in _every(len(texts), share)]
    return _in_order(kept)


def merging(stream: Composed, share: float, encoder: TextEncoder) -> list[Observation]:
    moments, texts = _apart(stream)
    pictures = [moment[0] for moment in moments]
    beside = {moment[0].seq: moment[1:] for moment in moments}
    vectors = np.stack([item.embedding for item in pictures if item.embedding is not None])
    kept: list[Observation] = []
    for members, mean in _merged(vectors, pictures, stream.sittings, share):
        first = pictures[members[0]]
        span = first.span.union(pictures[members[-1]].span)
        labels = _mean_labels([pictures[member].labels for member in members])
        kept += [replace(first, span=span, embedding=mean, labels=labels), *beside[first.seq]]
    spoken = encoder.encode([item.text for item in texts])
    for members, mean in _merged(spoken, texts, stream.sittings, share):
        nearest = texts[max(members, key=lambda member: float(spoken[member] @ mean))]
        span = texts[members[0]].span.union(texts[members[-1]].span)
        kept.append(replace(nearest, span=span))
    return _in_order(kept)


def deletion(stream: Composed, share: float, events: Sequence[tuple[int, float]]) -> list[Observation]:
    """Whole events, those of the lowest retention dropped; `events` are (start_ns, surprise) of the whole stream's."""
    starts_ns = np.array([start_ns for start_ns, _ in events])
    own: defaultdict[int, list[Observation]] = defaultdict(list)
    for item in stream.observations:
        own[max(int(np.searchsorted(starts_ns, item.span.start_ns, side="right")) - 1, 0)].append(item)
    days = (stream.end_ns - starts_ns) / 86_400e9
    kept: list[Observation] = []
    for place in sorted(own, key=lambda place: -score(float(days[place]), strength_of(events[place][1], 0, 1), 0, 0.0)):
        if len(kept) >= share * len(stream.observations):
            break
        kept += own[place]
    return _in_order(kept)


# --- parts ----------------------------------------------------------------------------------------


def _apart(stream: Composed) -> tuple[list[tuple[Observation, ...]], list[Observation]]:
    """Moments (a picture with what was seen in it) and utterances, each in time order."""
    moments: list[list[Observation]] = []
    texts = []
    for item in stream.observations:
        if item.modality is Modality.VISION:
            moments.append([item])
        elif item.modality is Modality.SPEECH:
            texts.append(item)
        else:
            moments[-1].append(item)
    return [tuple(moment) for moment in moments], texts


def _every(count: int, share: float) -> list[int]:
    kept = max(1, round(count * share))
    return np.linspace(0, count - 1, kept).round().astype(int).tolist()


def _in_order(kept: list[Observation]) -> list[Observation]:
    return sorted(kept, key=lambda item: (item.span.start_ns, item.seq))


def _mean_labels(named: Sequence[tuple[Label, ...]]) -> tuple[Label, ...]:
    sums: defaultdict[tuple[str, str], float] = defaultdict(float)
    kinds = {}
    for labels in named:
        for label in labels:
            sums[label.name, label.kind] += label.score / len(named)
            kinds[label.name, label.kind] = label
    best = sorted(sums, key=lambda key: (-sums[key], key))[:_MOST_LABELS]
    return tuple(replace(kinds[key], score=sums[key]) for key in best)


def _merged(
    vectors: np.ndarray, items: Sequence[Observation], sittings: Sequence[TimeSpan], share: float
) -> list[tuple[list[int], np.ndarray]]:
    """(N, D) unit vectors to `share` of them: runs of neighbours in one sitting, with their mean; the most alike first.

    A run is compared with the next one by the cosine of their means.
    """
    ends_ns = np.array([sitting.end_ns for sitting in sittings])
    sitting_of = np.searchsorted(ends_ns, [item.span.start_ns for item in items], side="right")
    members = {place: [place] for place in range(len(items))}
    sums = {place: vectors[place].astype(np.float64) for place in range(len(items))}
    after = {place: place + 1 for place in range(len(items) - 1)}
    before = {place + 1: place for place in range(len(items) - 1)}
    version = [0] * len(items)

    def alike(a: int, b: int) -> tuple[float, int, int, int, int]:
        cosine = float(sums[a] @ sums[b]) / float(np.linalg.norm(sums[a]) * np.linalg.norm(sums[b]))
        return (-cosine, a, b, version[a], version[b])

    heap = [alike(a, b) for a, b in after.items() if sitting_of[a] == sitting_of[b]]
    heapq.heapify(heap)
    while heap and len(members) > share * len(items):
        _, a, b, version_a, version_b = heapq.heappop(heap)
        if a not in members or b not in members or (version_a, version_b) != (version[a], version[b]):
            continue
        members[a] += members.pop(b)
        sums[a] = sums[a] + sums.pop(b)
        version[a] += 1
        following = after.pop(b, None)
        if following is None:
            del after[a]
        else:
            after[a], before[following] = following, a
            if sitting_of[a] == sitting_of[following]:
                heapq.heappush(heap, alike(a, following))
        if a in before and sitting_of[before[a]] == sitting_of[a]:
            heapq.heappush(heap, alike(before[a], a))
    return [
        (members[place], (sums[place] / np.linalg.norm(sums[place])).astype(np.float32)) for place in sorted(members)
    ]
