"""What says the same again counts less, and nothing else does."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reverie.memory import Memory, MemoryConfig
from reverie.memory.passage_table import PassageTable
from reverie.memory.search_config import SearchConfig
from reverie.memory.variety import ALIKE, varied
from reverie.memory.vectors import quantise
from reverie.types import Modality, Query
from tests.memory.worlds import BagOfWords, direction, said, seen, unit


def table_of(vectors):
    table = PassageTable()
    rows = []
    for number, vector in enumerate(vectors):
        code, scale = quantise(vector) if vector is not None else (None, None)
        packed = None if code is None else code.tobytes()
        encoder = None if code is None else 1
        rows.append((number, 1, 0, number, number + 1, "", None, None, encoder, scale, packed))
    table.extend(rows)
    return table


def naive(vectors, scores, share, most):
    """Every choice by looking at all that is left."""
    worth, left, order = np.array(scores, np.float32), set(np.flatnonzero(np.array(scores) > 0).tolist()), []
    while left and len(order) < most:
        best = min(left, key=lambda row: (-worth[row], -scores[row], row))
        order.append((best, float(worth[best])))
        left.remove(best)
        for row in left:
            if vectors[best] is not None and vectors[row] is not None and vectors[best] @ vectors[row] >= ALIKE:
                worth[row] *= np.float32(share)
    return order


@given(st.integers(0, 10_000), st.sampled_from([1, 7, 40, 3000]), st.sampled_from([0.0, 0.5, 1.0]))
@settings(max_examples=25, deadline=None)
def test_the_order_is_that_of_looking_at_everything(seed, size, share):
    rng = np.random.default_rng(seed)
    kinds = rng.integers(0, 6, size)
    vectors = [
        None if kind == 5 else unit(direction(f"scene {kind}") + 0.01 * rng.standard_normal(64)) for kind in kinds
    ]
    scores = np.round(rng.random(size) * 0.3 + (kinds == 0) * 0.5, 6).astype(np.float32)  # one scene floods the rest
    table, taken, found = table_of(vectors), np.zeros(size, bool), []
    for place, worth in varied(table, scores, np.arange(size), taken, share):
        taken[place] = True
        found.append((place, worth))
        if len(found) == 12:
            break
    expected = naive(vectors, scores, share, 12)
    assert [round(worth, 4) for _, worth in found] == [round(worth, 4) for _, worth in expected if worth > 0]
    if share == 1.0:
        assert [place for place, _ in found] == [place for place, _ in expected]


def test_every_place_is_given_once_however_many_are_asked_for(monkeypatch):
    monkeypatch.setattr("reverie.memory.variety._MOST", 1500)
    scores = np.linspace(0.9, 0.1, 3000).astype(np.float32)
    table, taken = table_of([unit(direction("one scene"))] * 3000), np.zeros(3000, bool)
    found = [place for place, _ in varied(table, scores, np.arange(3000), taken, 0.5)]
    assert sorted(found) == list(range(3000))


@pytest.fixture
def flooded(tmp_path):
    """The same scene and sentence every minute, each with a part of what is asked, and other things once."""
    items = []
    for minute in range(40):
        items += [
            seen("kitchen table red", 60 * minute, cut=True),
            said("water the red flowers", 60 * minute, 60 * minute + 3),
        ]
    items += [seen("garden red", 2400, cut=True), said("a red car", 2410, 2412), said("unheard of", 2420, 2422)]

    def search(share, modalities=(), k=4):
        config = MemoryConfig(remember_recalls=False, search=SearchConfig(copy_share=share))
        encoder = BagOfWords()
        with Memory.open(tmp_path, text_encoder=encoder, mode="w", config=config) as memory:
            memory.write(items)
            return memory.search(Query(text="red flowers table", k=k, modalities=modalities))

    return search


def test_copies_leave_room_for_other_passages(flooded):
    texts = {share: [hit.text for hit in flooded(share, (Modality.SPEECH,))] for share in (1.0, 0.3)}
    assert set(texts[1.0]) == {"water the red flowers"}
    assert "a red car" in texts[0.3]
    assert texts[0.3].count("water the red flowers") == 3
    starts = [hit.span.start_s for hit in flooded(0.3, (Modality.VISION,))]
    assert 2400 in starts
    assert 2400 not in [hit.span.start_s for hit in flooded(1.0, (Modality.VISION,))]


def test_copies_are_all_found_where_they_are_asked_for(flooded):
    found = flooded(0.3, (Modality.SPEECH,), k=100)
    assert [hit.text for hit in found].count("water the red flowers") == 40
    assert max(found, key=lambda hit: hit.score).text == "water the red flowers"
