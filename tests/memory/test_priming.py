"""What the segmenter of a stream goes on with: the rows that are there, and nothing that was erased."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from reverie.memory import Memory
from reverie.types import EndOfStream, ns
from tests.memory.reading import rows_of
from tests.memory.worlds import WIDTH, BagOfWords, direction, seen, span, unit


def room(at_s, secret=None):
    """A room with a little noise, and in the tenth to fourteenth second a little of something else."""
    noise = 0.2 * np.random.default_rng(int(2 * at_s)).standard_normal(WIDTH) / np.sqrt(WIDTH)
    extra = 0.25 * direction(secret) if secret and 10 <= at_s < 14 else 0
    return replace(seen("room", at_s), embedding=unit(direction("room") + noise + extra))


def surprises(directory):
    return {row["start_ns"] / 1e9: row["surprise"] for row in rows_of(directory)["observation"]}


def test_surprise_measured_against_something_erased_goes_with_it(tmp_path):
    found = []
    for secret in ("letter", "visitor"):
        directory = tmp_path / secret
        with Memory.open(directory, text_encoder=BagOfWords(), mode="w") as memory:
            memory.write([room(half / 2, secret) for half in range(50)])
            memory.write([seen("street", half / 2) for half in range(50, 100)])
            before = surprises(directory)
            memory.forget(span=span(10, 14))
            found.append(surprises(directory))
            memory.write([seen("garden", half / 2) for half in range(100, 130)])
            memory.write([EndOfStream(stream_id="tv", pts_ns=ns(65))])
        after = found[-1]
        assert all(after[at] is None for at in np.arange(14, 25.5, 0.5))  # the street's first picture included
        assert all(after[at] == before[at] for at in np.arange(0, 9.5, 0.5))
        found.append(sorted((row["start_ns"], row["end_ns"]) for row in rows_of(directory)["event"]))
        found.append(surprises(directory))
    assert found[:3] == found[3:]  # nothing tells what was in the span that was erased
    assert 50 in [start_ns / 1e9 for start_ns, _ in found[1]]  # and segmentation goes on
