"""Search beyond the full scan, and the columns under it, each beside a naive computation."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from reverie.memory import Memory, MemoryConfig, SearchConfig
from reverie.memory.hamming import HammingCodes
from reverie.memory.lexical import TextCount, search_phrases, search_texts, weigh
from reverie.memory.passage_table import PassageTable
from reverie.memory.vectors import quantise
from reverie.types import Modality, Query
from tests.memory.worlds import WIDTH, WORDS, BagOfWords, heard, make_stream, said, span, unit, written

SMALL = {"max_postings": 10**6, "exact_rows": 100, "shortlist_rows": 200}
QUESTIONS = ("lantern", "orange ticket pilot", "copper window winter", "the river bridge", "engine 5")


def talk(num_rows: int, seed: int = 0) -> list:
    """Utterances of 2 to 9 words in three streams, some with a silence before them."""
    rng = np.random.default_rng(seed)
    at_s = np.cumsum(np.where(rng.random(num_rows) < 0.02, 400.0, 5.0))
    return [
        said(" ".join([*rng.choice(WORDS, size=rng.integers(2, 9)), str(i % 50)]), at, at + 3, f"s{i // 40 % 3}")
        for i, at in enumerate(at_s)
    ]


def searched(folder, queries, **search):
    config = MemoryConfig(search=SearchConfig(**search))
    with Memory.open(folder, text_encoder=BagOfWords(), config=config) as memory:
        return [memory.search(query) for query in queries]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("talk")
    with Memory.open(folder, text_encoder=BagOfWords(), mode="w") as memory:
        memory.write(talk(1500))
    return folder


def test_the_shortlist_finds_what_the_full_scan_finds(folder):
    queries = [
        Query(text=text, k=10, **filters)
        for text in QUESTIONS
        for filters in ({}, {"stream_ids": ("s1",)}, {"span": span(3000, 9000)})
    ]
    full, short = searched(folder, queries), searched(folder, queries, **SMALL)
    num_same = 0
    for all_hits, some_hits in zip(full, short, strict=True):
        known = {(hit.stream_id, hit.span): hit for hit in all_hits}
        same = [hit for hit in some_hits if (hit.stream_id, hit.span) in known]
        num_same += len(same)
        for hit in same:  # what is found has the score that the full scan gives it
            assert hit.score == pytest.approx(known[hit.stream_id, hit.span].score, abs=1e-5)
            assert hit.lexical == pytest.approx(known[hit.stream_id, hit.span].lexical, abs=1e-5)
    assert num_same >= 0.95 * sum(len(hits) for hits in full)


def test_a_shortlist_of_all_is_the_full_scan(folder):
    queries = [Query(text=text, k=7) for text in QUESTIONS]
    everything = searched(folder, queries, exact_rows=0, shortlist_rows=100_000)
    for full, short in zip(searched(folder, queries), everything, strict=True):
        assert [(hit.stream_id, hit.span) for hit in full] == [(hit.stream_id, hit.span) for hit in short]
        assert [hit.score for hit in full] == pytest.approx([hit.score for hit in short], abs=1e-6)


def test_a_filter_that_leaves_few_is_exact(folder):
    queries = [Query(text=text, k=10, span=span(100, 700), stream_ids=("s0", "s2")) for text in QUESTIONS]
    for full, short in zip(searched(folder, queries), searched(folder, queries, **SMALL), strict=True):
        assert [(hit.stream_id, hit.span) for hit in full] == [(hit.stream_id, hit.span) for hit in short]


def test_filters_hold_beyond_the_full_scan(folder):
    within = span(2000, 12000)
    (hits,) = searched(folder, [Query(text="copper", k=20, span=within, stream_ids=("s2",))], **SMALL)
    assert len(hits) == 20
    assert all(hit.stream_id == "s2" and hit.span.overlaps(within) for hit in hits)


def test_what_was_just_said_is_found_beyond_the_full_scan(tmp_path):
    config = MemoryConfig(search=SearchConfig(**SMALL))
    with Memory.open(tmp_path, text_encoder=BagOfWords(), mode="w", config=config) as memory:
        memory.write(talk(300))
        for number in range(5):
            memory.search(Query(text="river"))
            name = f"umbrella{number}"
            memory.write([said(f"violet {name}", 9000 + 1000 * number, 9001 + 1000 * number, "s0")])
            hits = memory.search(Query(text=f"violet {name}", k=1))
            assert [hit.text for hit in hits] == [f"violet {name}"]
        memory.forget(span=span(8000, 20000))
        assert not any("violet" in hit.text for hit in memory.search(Query(text="violet umbrella3", k=10)))


def test_common_words_add_to_what_rarer_ones_name(folder):
    with Memory.open(folder, text_encoder=BagOfWords()) as memory:
        db = memory._store.reader
        query = weigh(db, "lantern 7 copper", num_texts=1500)
        whole = {match.coverage: match for match in search_texts(db, query, 10**9)}
        part = search_texts(db, query, 0)
        rarest = max(part, key=lambda match: match.coverage)
        named = set(rarest.ids.tolist())
        for match in part:
            full = whole[match.coverage]
            there = np.isin(full.ids, rarest.ids)
            assert match is rarest or set(match.ids.tolist()) == named & set(full.ids.tolist())
            np.testing.assert_allclose(match.bm25, full.bm25[there if match is not rarest else slice(None)], atol=1e-6)


def test_phrases_of_rare_words_are_read_first(folder):
    with Memory.open(folder, text_encoder=BagOfWords()) as memory:
        db = memory._store.reader
        query = weigh(db, "copper lantern 17 river bridge", num_texts=1500)
        texts = dict(db.execute("SELECT id, text FROM observation"))

        def holding(phrase):
            return [row for row, text in sorted(texts.items()) if f" {phrase} " in f" {text} "]

        every = search_phrases(db, query, 0.5, 10**9)
        found = sorted(match.ids.tolist() for match in every)
        phrases = ("copper lantern", "lantern 17", "17 river", "river bridge")
        assert found == sorted(holding(phrase) for phrase in phrases)
        assert sum(map(len, found)) > 20
        assert all(match.is_phrase and match.coverage == 0 for match in every)
        some = search_phrases(db, query, 0.5, 2 * query.num_with["17"])  # the words beside the number are commoner
        assert sorted(match.ids.tolist() for match in some) == sorted([holding("lantern 17"), holding("17 river")])
        assert search_phrases(db, query, 0.5, query.num_with["17"] - 1) == []
        assert search_phrases(db, query, 0.0, 10**9) == []


def test_texts_are_counted_as_they_come_and_go(tmp_path):
    with Memory.open(tmp_path, text_encoder=BagOfWords(), mode="w") as memory:
        count, reader = TextCount(), memory._store.reader
        for size in (3, 0, 40):
            memory.write(talk(size))
            assert count.of(reader) == size or size == 0
        memory.forget(span=span(0, 60))
        (num,) = reader.execute("SELECT count(*) FROM observation_text_docsize").fetchone()
        assert 0 < count.of(reader) == num < 40


def test_new_rows_are_put_where_sorting_would_put_them():
    rng = np.random.default_rng(3)
    table, number = PassageTable(), 0
    for size in (1, 50, 1, 200, 3, 0, 40):
        rows = [
            (number + i, *map(int, rng.integers((0, 2, 0), (3, 5, 40))), 100, "", None, None, None, None, None)
            for i in range(size)
        ]
        number += size
        if rows:
            table.extend(rows)
        keys = (table.ids.rows, table.starts_ns.rows, table.modalities.rows, table.streams.rows)
        order = np.lexsort(keys)
        assert table.order.tolist() == order.tolist()
        assert table.order[table.rank].tolist() == list(range(len(table)))


@pytest.mark.parametrize("width", [64, 100])
def test_distances_count_the_signs_that_differ(width):
    rng = np.random.default_rng(1)
    vectors = rng.standard_normal((500, width)) + 2 * rng.standard_normal(width)
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    codes, scales = map(np.array, zip(*(quantise(vector) for vector in vectors), strict=True))
    signs = HammingCodes(width)
    for size in (10, 11, 200, 500):  # grows, and is centred anew
        signs.follow(codes[:size], scales[:size].astype(np.float32))
    stored = codes * scales[:, None]
    mean = stored[::1].mean(axis=0)
    naive = ((stored > mean) != (vectors[7] > mean)).sum(axis=1)
    assert (np.abs(signs.distances(vectors[7], slice(0, 500)).astype(int) - naive) <= 1).all()
    assert (
        signs.distances(vectors[7], slice(100, 300)).tolist()
        == signs.distances(vectors[7], slice(0, 500))[100:300].tolist()
    )
    nearest = signs.nearest(vectors[7], 20)
    assert 20 <= len(nearest) <= 40
    assert naive[nearest].max() <= np.sort(naive)[40] + 1
    for share in (0.2, 0.6):  # few are gathered, many are looked through
        kept = rng.random(500) < share
        chosen = signs.nearest(vectors[7], 20, kept)
        assert 20 <= len(chosen) <= 40
        assert kept[chosen].all()
        assert naive[chosen].max() <= np.sort(naive[kept])[40] + 1
    assert signs.nearest(vectors[7], 600).tolist() == list(range(500))


def test_demotion_leaves_columns_that_can_be_shortlisted(tmp_path):
    """Vectors stay in the order of their rows when some go, so that each row finds its own."""
    with Memory.open(tmp_path, text_encoder=BagOfWords(), mode="w") as memory:
        memory.write(make_stream(4, duration_s=300, pictures=False))
        memory.search(Query(text="lantern"))
        table = memory._search.index.texts
        gone = np.zeros(len(table), bool)
        gone[::3] = True
        table.replace(gone, [], [])
        for column in (*table.vectors.values(), *table.sentences.values()):
            assert (np.diff(column.rows.rows) >= 0).all()
        query = {encoder: BagOfWords().encode(["lantern"])[0] for encoder in table.vectors}
        rows = np.arange(0, len(table), 2)
        np.testing.assert_allclose(table.dense(query, 0.5, rows), table.dense(query, 0.5)[rows], atol=1e-6)


def test_a_wall_of_equal_writing_does_not_hide_the_rest(tmp_path):
    config = MemoryConfig(search=SearchConfig(**SMALL))
    with Memory.open(tmp_path, text_encoder=BagOfWords(), mode="w", config=config) as memory:
        memory.write([written("GRAND SALE", i, i + 1) for i in range(3000)])
        memory.write([dataclasses.replace(said("a small sale", 5000, 5001), modality=Modality.WRITING)])
        hits = memory.search(Query(text="grand sale", k=5))
        assert [hit.text for hit in hits] == ["GRAND SALE", "a small sale"]


def test_a_sentence_said_again_and_again_does_not_hide_the_rest(tmp_path):
    """More copies than a shortlist holds, each worth more before the others are seen than any other sentence."""
    with Memory.open(tmp_path, text_encoder=BagOfWords(), mode="w") as memory:
        memory.write([said("water the red flowers", 400 * i, 400 * i + 3) for i in range(2000)])
        others = [f"red {word} flowers" for word in WORDS[:5]]
        memory.write([said(text, 900_000 + 400 * i, 900_003 + 400 * i) for i, text in enumerate(others)])
    (full,), (short,) = (
        searched(tmp_path, [Query(text="water the red flowers", k=6)], **options) for options in ({}, SMALL)
    )
    assert len({hit.text for hit in full}) > 3
    assert {(hit.text, round(hit.score, 5)) for hit in short} == {(hit.text, round(hit.score, 5)) for hit in full}


def test_what_sounds_like_an_entity_is_found_beyond_the_full_scan(tmp_path):
    rng = np.random.default_rng(5)
    sounds = [unit(rng.standard_normal(WIDTH)) for _ in range(1500)]
    bell = unit(sounds[700] + 0.05 * rng.standard_normal(WIDTH))
    with Memory.open(tmp_path, text_encoder=BagOfWords(), mode="w") as memory:
        memory.write([
            dataclasses.replace(heard("noise", 400 * i, 400 * i + 2), embedding=vector, encoder="ears")
            for i, vector in enumerate(sounds)
        ])  # fmt: skip
        memory.teach("Big Ben", sounds=[bell], encoder="ears")
    (full,), (short,) = (searched(tmp_path, [Query(text="Big Ben", k=1)], **options) for options in ({}, SMALL))
    assert [(hit.span, hit.labels[0].name) for hit in short] == [(span(400 * 700, 400 * 700 + 2), "Big Ben")]
    assert [hit.score for hit in short] == pytest.approx([hit.score for hit in full], abs=1e-5)
