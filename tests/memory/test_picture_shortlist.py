"""Search of pictures beyond the full scan, beside the full scan."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from reverie.memory import Memory, MemoryConfig, SearchConfig
from reverie.memory.label_column import LabelColumn
from reverie.memory.rows import LABEL_DTYPE
from reverie.types import Gap, Label, Modality, Query
from tests.memory.worlds import SCENES, WIDTH, WORDS, BagOfWords, seen, span, unit

SPACE = "bag-of-words"
SMALL = {"exact_rows": 100, "shortlist_rows": 100}
FULL = {"exact_rows": 10**9}
QUESTIONS = ("tabby cat", "a red sports car", "mountain pizza", "lantern river", "umbrella in the garden", "Minka")
FILTERS = (
    {},
    {"stream_ids": ("s1",)},
    {"span": span(2000, 4000)},
    {"span": span(1203.2, 9000), "stream_ids": ("s0", "s2")},
    {"span": span(777, 778)},
)


def views(num_rows: int, seed: int = 0) -> list:
    """Pictures of places in three streams: a scene and a word each, many alike, names of any probability."""
    rng = np.random.default_rng(seed)
    items, at_s = [], 0.0
    for number in range(num_rows):
        if number % 12 == 0:  # another place
            scene, word = str(rng.choice(SCENES)), str(rng.choice(WORDS))
            around = unit(BagOfWords().encode([f"{scene} {word}"])[0] + 0.05 * rng.standard_normal(WIDTH))
        at_s += 2.0 if rng.random() < 0.98 else 30.0
        picture = seen(scene, at_s, stream_id=f"s{number // 60 % 3}", cut=number % 12 == 0)
        names = (
            Label(name=scene, score=float(rng.uniform(0.05, 0.9))),
            Label(name=str(rng.choice(SCENES)), score=float(rng.uniform(0.01, 0.1))),
        )
        vector = unit(around + 0.04 * rng.standard_normal(WIDTH))
        items.append(dataclasses.replace(picture, embedding=vector, labels=names))
    return items


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("views")
    with Memory.open(folder, text_encoder=BagOfWords(), mode="w") as memory:
        items = views(3000)
        for start in range(0, len(items), 300):
            memory.write(items[start : start + 300])
        end_s = items[-1].span.end_s
        memory.write([Gap(stream_id="s0", span=span(end_s + 10, end_s + 90), reason="link lost", num_dropped=1)])
        look = unit(items[500].embedding + 0.05 * np.random.default_rng(4).standard_normal(WIDTH))
        memory.teach("Minka", looks=[look], encoder=SPACE)
    return folder


def searched(folder, queries, **search):
    search = {"picture_cosine_range": (0.0, 1.0), "label_cosine_range": (0.0, 1.0)} | search  # no ties of full marks
    config = MemoryConfig(remember_recalls=False, search=SearchConfig(**search))
    with Memory.open(folder, text_encoder=BagOfWords(), config=config) as memory:
        return [memory.search(query) for query in queries]


def assert_same(full, short):
    for all_hits, some_hits in zip(full, short, strict=True):
        assert [(hit.stream_id, hit.span) for hit in some_hits] == [(hit.stream_id, hit.span) for hit in all_hits]
        for name in ("score", "dense", "lexical"):
            wanted = [getattr(hit, name) for hit in all_hits]
            assert [getattr(hit, name) for hit in some_hits] == pytest.approx(wanted, abs=1e-5)
        assert [hit.labels for hit in some_hits] == [hit.labels for hit in all_hits]


@pytest.mark.parametrize("filters", FILTERS)
def test_the_shortlist_finds_what_the_full_scan_finds(folder, filters):
    queries = [Query(text=text, k=5, **filters) for text in QUESTIONS]
    full = searched(folder, queries, **FULL)
    assert any(hit.span.end_ns - hit.span.start_ns > 20e9 for hits in full for hit in hits)  # runs, not single pictures
    assert_same(full, searched(folder, queries, **SMALL))


def test_nothing_is_found_where_nothing_is_asked_for(folder):
    assert searched(folder, [Query(text="tabby cat", k=0)], **SMALL) == [[]]


def test_neighbours_are_those_of_the_full_scan(folder):
    queries = [Query(text=text, k=8, neighbours=1) for text in QUESTIONS]
    full = searched(folder, queries, **FULL)
    assert any(hit.neighbour for hits in full for hit in hits)
    assert_same(full, searched(folder, queries, **SMALL))


def test_what_looks_like_an_entity_is_found_by_its_look_alone(folder):
    weights = {"picture_dense_weight": 0.0, "picture_label_weight": 0.0}
    queries = [Query(text="where is Minka", k=5)]
    (full,), (short,) = searched(folder, queries, **weights, **FULL), searched(folder, queries, **weights, **SMALL)
    assert full[0].labels[0].name == "Minka"
    assert_same([full], [short])


def test_copies_that_fill_the_shortlist_do_not_hide_the_rest(tmp_path):
    """The best passages besides a scene that is there 3,000 times are worth less than any picture of it."""
    rng = np.random.default_rng(1)
    kitchen = BagOfWords().encode(["kitchen table red"])[0]
    with Memory.open(tmp_path, text_encoder=BagOfWords(), mode="w") as memory:
        for hour in range(30):
            items = [seen("kitchen", 3600 * hour + 30 * i, cut=True) for i in range(100)]
            memory.write([
                dataclasses.replace(item, embedding=unit(kitchen + 0.005 * rng.standard_normal(WIDTH)), labels=())
                for item in items
            ])  # fmt: skip
        memory.write([
            dataclasses.replace(seen(f"{word} red", 200_000 + 60 * i, cut=True), labels=())
            for i, word in enumerate(WORDS)
        ])  # fmt: skip
    queries = [Query(text="red table kitchen", k=6)]
    (full,), (short,) = searched(tmp_path, queries, **FULL), searched(tmp_path, queries, **SMALL)
    assert sum(hit.span.start_s >= 200_000 for hit in full) >= 3
    assert [round(hit.score, 5) for hit in short] == [round(hit.score, 5) for hit in full]
    assert {hit.span for hit in full if hit.span.start_s >= 200_000} == {
        hit.span for hit in short if hit.span.start_s >= 200_000
    }


def test_a_name_that_many_bear_is_searched_by_nearness_too(tmp_path):
    """More pictures bear the name than a list holds, and more without it are nearer than the one that is meant."""
    rng = np.random.default_rng(6)
    asked = BagOfWords().encode(["umbrella"])[0]

    def picture(number, nearness, names):
        other = rng.standard_normal(WIDTH)
        other = unit(other - (other @ asked) * asked)
        vector = unit(nearness * asked + np.sqrt(1 - nearness**2) * other)
        return dataclasses.replace(seen("", 4.0 * number, cut=True), embedding=vector, labels=names)

    name = (Label(name="umbrella", score=0.5),)
    items = [picture(i, 0.8, ()) if i % 2 else picture(i, 0.0, name) for i in range(2000)]
    items[1234] = picture(1234, 0.6, name)
    with Memory.open(tmp_path, text_encoder=BagOfWords(), mode="w") as memory:
        for start in range(0, len(items), 500):
            memory.write(items[start : start + 500])
    ((hit,),) = searched(tmp_path, [Query(text="umbrella", k=1)], **SMALL, run_share=1.0)
    assert hit.span.start_s == 4 * 1234


def test_the_recall_of_vectors_alone(tmp_path):
    rng = np.random.default_rng(2)
    common = 0.5 * unit(rng.standard_normal(WIDTH))
    centres = [unit(unit(rng.standard_normal(WIDTH)) + common) for _ in range(60)]
    vectors = [unit(centres[i // 5 % 60] + rng.standard_normal(WIDTH) / np.sqrt(WIDTH)) for i in range(6000)]
    asked = {
        f"zz{i}": unit(vectors[i] + 0.75 * rng.standard_normal(WIDTH) / np.sqrt(WIDTH)) for i in range(0, 6000, 150)
    }

    class Given(BagOfWords):
        def _one(self, text):
            return asked[text] if text in asked else super()._one(text)

    items = [
        dataclasses.replace(seen("", 4.0 * i, cut=True), embedding=vector, labels=())
        for i, vector in enumerate(vectors)
    ]  # fmt: skip
    config = MemoryConfig(remember_recalls=False, search=SearchConfig(**SMALL, picture_cosine_range=(0, 1)))
    with Memory.open(tmp_path, text_encoder=Given(), mode="w", config=config) as memory:
        for start in range(0, len(items), 500):
            memory.write(items[start : start + 500])
        shares = []
        for text, vector in asked.items():
            hits = memory.search(Query(text=text, k=10))
            nearest = np.argsort(-(np.stack(vectors) @ vector))[:10].tolist()
            shares.append(len({round(hit.span.start_s / 4) for hit in hits} & set(nearest)) / 10)
    assert np.mean(shares) > 0.95


def test_what_was_just_seen_is_found_and_what_was_forgotten_is_not(tmp_path):
    config = MemoryConfig(remember_recalls=False, search=SearchConfig(**SMALL))
    with Memory.open(tmp_path, text_encoder=BagOfWords(), mode="w", config=config) as memory:
        memory.write(views(300))
        for number in range(4):
            memory.search(Query(text="tabby cat"))
            at_s = 9000.0 + 1000 * number
            memory.write([seen(f"violet walrus{number}", at_s, stream_id="s0", cut=True)])
            (hit,) = memory.search(Query(text=f"violet walrus{number}", k=1))
            assert hit.span.start_s == at_s
            assert hit.modality is Modality.VISION
        memory.forget(span=span(8000, 20000))
        hits = memory.search(Query(text="violet walrus3", k=10))
        assert hits
        assert all(hit.span.start_s < 8000 for hit in hits)


def test_labels_are_read_by_name_as_by_row():
    rng = np.random.default_rng(3)

    def packed(count):
        labels = np.zeros(count, LABEL_DTYPE)
        labels["label"], labels["score"] = rng.integers(0, 9, count), 0.5
        return labels.tobytes()

    column, fresh = LabelColumn(), LabelColumn()
    for first in range(0, 60, 20):
        column.extend(first, [packed(int(rng.integers(0, 4))) if i % 5 else None for i in range(20)])
        for label in range(11):
            assert column.entries_with(label).tolist() == np.flatnonzero(column.ids.rows == label).tolist()
    fresh.extend(0, [packed(2), packed(1)])
    moved = np.arange(60)
    moved[10:30] = -1
    moved[30:] -= 18
    held = sorted(zip(column.rows.rows.tolist(), column.ids.rows.tolist(), strict=True))
    new = fresh.ids.rows.tolist()
    column.merge(fresh, moved, np.array([10, 11]))
    assert (np.diff(column.rows.rows) >= 0).all()
    expected = [(int(moved[row]), label) for row, label in held if moved[row] >= 0]
    expected += [(10, new[0]), (10, new[1]), (11, new[2])]
    assert sorted(zip(column.rows.rows.tolist(), column.ids.rows.tolist(), strict=True)) == sorted(expected)
    for label in range(9):
        assert column.entries_with(label).tolist() == np.flatnonzero(column.ids.rows == label).tolist()


def test_a_picture_stands_until_the_next_one_for_filters_too(folder):
    with Memory.open(folder, text_encoder=BagOfWords()) as memory:
        memory.search(Query(text="lantern"))
        index = memory._search.index
        table = index.pictures
        until_ns = index.shown_until_ns(np.arange(len(table)), 1.0)
        some = np.random.default_rng(0).permutation(len(table))[:200]
        assert index.shown_until_ns(some, 1.0).tolist() == until_ns[some].tolist()
        assert (until_ns - table.ends_ns.rows > 60e9).any()
        last_s = table.starts_ns.rows.max() / 1e9
        for start_s in (0.0, 1.0, 777.0, 777.3, last_s - 500, last_s + 0.2, last_s + 11, last_s + 200):
            for streams in (None, (1,), (1, 3)):
                within = span(start_s, start_s + 40)
                bounds = (within.start_ns, within.end_ns)
                naive = table.kept(until_ns, streams, (), bounds)
                assert index.pictures_kept(streams, bounds, 1.0).tolist() == naive.tolist()
