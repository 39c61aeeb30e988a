from __future__ import annotations

import dataclasses
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reverie.memory import Memory, MemoryConfig, SearchConfig
from reverie.memory.lexical import match_expression, phrases_of, search_phrases, terms_of, weigh
from reverie.memory.schema import TEXT_MODALITIES
from reverie.types import EndOfStream, Label, Modality, Query, Watermark, ns
from tests.memory.worlds import WORDS, BagOfWords, heard, make_stream, said, seen, span, things, written

TEXTS = TEXT_MODALITIES
ONLY_WORDS = MemoryConfig(search=SearchConfig(text_dense_weight=0, text_lexical_weight=1, context_reach=0))


@pytest.fixture
def memory(tmp_path):
    with Memory.open(tmp_path / "m", text_encoder=BagOfWords(), mode="w") as memory:
        yield memory


@pytest.fixture(scope="module")
def talk(tmp_path_factory):
    """A memory of 400 utterances, and the utterances."""
    rng = np.random.default_rng(0)
    items = [said(" ".join(rng.choice(WORDS, size=7)), 5.0 * i, 5.0 * i + 3) for i in range(400)]
    with Memory.open(tmp_path_factory.mktemp("talk"), text_encoder=BagOfWords(), mode="w") as memory:
        memory.write(items)
        yield memory, items


def best(hits):
    return max(hits, key=lambda hit: hit.score)


def test_each_sense_is_found_by_its_name(memory):
    memory.write([
        seen("tabby cat", 0, picture=1), things(0, {1: "person"}), written("EXIT", 3, 5),
        said("the bridge is out", 6, 8),        heard("music", 9, 12), EndOfStream(stream_id="tv", pts_ns=ns(20)),
    ])  # fmt: skip
    for question, modality, where in (
        ("a cat", Modality.VISION, span(0, 20)), ("person", Modality.OBJECTS, span(0, 20)),
        ("exit sign", Modality.WRITING, span(3, 5)), ("what was said about the bridges?", Modality.SPEECH, span(6, 8)),
        ("was there music", Modality.SOUND, span(9, 12)),
    ):  # fmt: skip
        hit = best(memory.search(Query(text=question, k=3)))
        assert (hit.modality, hit.span) == (modality, where), question
        assert 0 < hit.score <= 1
        assert hit.lexical > 0
        assert hit.event_id == memory.timeline(where)[0].event_id


def test_hits_come_in_time_order_within_the_budget(talk):
    memory, _ = talk
    hits = memory.search(Query(text="copper lantern", k=7))
    assert len(hits) == 7
    assert [hit.span.start_ns for hit in hits] == sorted(hit.span.start_ns for hit in hits)


def test_lexical_is_the_covered_share_of_the_terms_weight(memory):
    memory.write([said("the copper kettle", 0, 1), said("a wooden kettle", 2, 3), said("nothing", 4, 5)])
    hits = {hit.text: hit for hit in memory.search(Query(text="copper kettles", k=5))}
    assert hits["the copper kettle"].lexical == pytest.approx(1)
    assert 0 < hits["a wooden kettle"].lexical < 0.5  # kettle is the commoner word
    hits = {hit.text: hit for hit in memory.search(Query(text="zinc kettles", k=5))}
    assert 0 < hits["the copper kettle"].lexical < 0.5  # what the memory lacks counts too


def test_filters_hold(memory):
    memory.write([said("lantern one", 0, 1, "a"), said("lantern two", 50, 51, "a"), said("lantern three", 0, 1, "b")])
    memory.write([written("LANTERN", 10, 20, "a")])

    def texts(**filters):
        return {hit.text for hit in memory.search(Query(text="lantern", **filters))}

    assert texts() == {"lantern one", "lantern two", "lantern three", "LANTERN"}
    assert texts(stream_ids=("b",)) == {"lantern three"}
    assert texts(stream_ids=("nobody",)) == set()
    assert texts(modalities=(Modality.WRITING,)) == {"LANTERN"}
    assert texts(span=span(15, 60), stream_ids=("a",)) == {"lantern two", "LANTERN"}
    assert texts(span=span(1, 10)) == set()  # half-open on both sides
    assert memory.search(Query(text="lantern", k=0)) == []


def test_a_question_without_words_gives_the_latest(memory):
    memory.write([said(f"word {i}", i, i + 1) for i in range(9)])
    assert [hit.text for hit in memory.search(Query(k=2))] == ["word 7", "word 8"]
    assert [hit.text for hit in memory.search(Query(k=2, span=span(0, 3)))] == ["word 1", "word 2"]


def test_neighbours_come_within_the_budget(tmp_path):
    with Memory.open(tmp_path, text_encoder=BagOfWords(), mode="w", config=ONLY_WORDS) as memory:
        check_neighbours(memory)


def check_neighbours(memory):
    memory.write([said(f"filler {i}" if i != 5 else "the copper lantern", 2 * i, 2 * i + 1) for i in range(12)])
    hits = memory.search(Query(text="copper lantern", k=4, neighbours=1))
    assert [hit.text for hit in hits if not hit.neighbour] == ["the copper lantern"]
    assert [hit.text for hit in hits if hit.neighbour] == ["filler 4", "filler 6"]
    assert len(memory.search(Query(text="copper lantern", k=1, neighbours=3))) == 1
    wide = memory.search(Query(text="copper lantern", k=10, neighbours=2))
    assert [hit.text for hit in wide] == ["filler 3", "filler 4", "the copper lantern", "filler 6", "filler 7"]


def test_a_run_of_pictures_is_one_hit_that_stops_at_its_event(memory):
    memory.write([seen("cat", i / 2) for i in range(20)] + [seen("car", 10 + i / 2) for i in range(20)])
    memory.write([seen("cat", 20 + i / 2, cut=i == 0) for i in range(10)])
    memory.write([EndOfStream(stream_id="tv", pts_ns=ns(40))])
    hits = [hit for hit in memory.search(Query(text="cat", k=5)) if hit.score > 0.3]
    assert [hit.span for hit in hits] == [span(0, 10), span(20, 40)]


def test_a_name_is_found_by_its_likeness_to_another(memory):
    class Kin(BagOfWords):
        def _one(self, text):
            return super()._one({"kitten": "tabby cat"}.get(text, text))

    memory.write([seen("tabby cat", 0), seen("sports car", 50, cut=True), EndOfStream(stream_id="tv", pts_ns=ns(90))])
    with Memory.open(memory.root, text_encoder=Kin()) as reader:
        hits = reader.search(Query(text="kitten", k=2))
        assert best(hits).labels[0].name == "tabby cat"
        assert best(hits).lexical == 0


def test_probable_names_rank_before_improbable_ones(memory):
    likely, unlikely = (
        dataclasses.replace(seen("x", at), embedding=None, encoder="", labels=(Label(name="zebra", score=score),))
        for at, score in ((0, 0.9), (50, 0.05))
    )
    memory.write([likely, dataclasses.replace(unlikely, starts_shot=True)])
    hits = memory.search(Query(text="zebra", k=2))
    assert hits[0].score > hits[1].score > 0


def test_equal_writing_is_one_hit(memory):
    memory.write([written("GRAND SALE", 10 * i, 10 * i + 10) for i in range(4)])
    (hit,) = memory.search(Query(text="sale", k=5))
    assert hit.span == span(0, 40)


def test_unrelated_names_are_worth_nothing(memory):
    memory.write([seen("tabby cat", 0, noise=0.0), EndOfStream(stream_id="tv", pts_ns=ns(5))])
    assert all(hit.score < 0.2 for hit in memory.search(Query(text="submarine", k=3)))


def test_the_open_event_is_found(memory):
    memory.write([seen("cat", 0), seen("cat", 1), Watermark(stream_id="tv", pts_ns=ns(8))])
    (hit,) = memory.search(Query(text="cat", k=3))
    assert hit.span == span(0, 8)
    assert hit.event_id == memory.timeline()[-1].event_id
    assert memory.timeline()[-1].open


def test_fused_scores_equal_a_naive_computation_in_floats(talk):
    """Dense by float vectors, BM25 by its formula: the int8 scan and FTS5 give the same ranking score."""
    memory, items = talk
    config, encoder = SearchConfig(), BagOfWords()
    documents = [item.text.split() for item in items]
    mean_length = np.mean([len(words) for words in documents])
    vectors = encoder.encode([item.text for item in items])
    for question in ("lantern", "violet garden", "orange ticket pilot"):
        terms = terms_of(question)
        idf = {}
        for term in terms:
            n = sum(term in words for words in documents)
            idf[term] = max(1e-6, np.log((len(documents) - n + 0.5) / (n + 0.5)))
        dense = vectors @ encoder.encode([question])[0]
        pairs = list(pairwise(idf))
        num_with_pair = {pair: sum(pair in pairwise(words) for words in documents) for pair in pairs}
        pair_idf = {pair: np.log((len(documents) - n + 0.5) / (n + 0.5)) for pair, n in num_with_pair.items()}

        def worth(term, words, idf=idf | pair_idf):
            length = 1.2 * (0.25 + 0.75 * len(words) / mean_length)
            num = [*words, *pairwise(words)].count(term)
            return idf[term] * num * 2.2 / (num + length)

        expected = {}
        for place, item in enumerate(items):
            beside = {
                other: abs(other - place)
                for other in range(len(items))
                if abs(other - place) <= config.context_reach and items[other].stream_id == item.stream_id
            }
            bm25 = sum(
                max(worth(term, documents[o]) * config.context_decay**d for o, d in beside.items()) for term in idf
            )
            weights = {other: config.context_dense_decay**distance for other, distance in beside.items()}
            around = sum(dense[other] * weight for other, weight in weights.items()) / sum(weights.values())
            cosine = dense[place] + config.context_dense_share * (around - dense[place])
            low, high = config.text_cosine_range
            ramp = min(1.0, max(0.0, (cosine - low) / (high - low)))
            bm25 += config.pair_share * sum(worth(pair, documents[place]) for pair in pairs)
            share = bm25 / (2.2 * sum(idf.values()))
            score = config.text_dense_weight * ramp + config.text_lexical_weight * share
            expected[item.text] = min(1.0, score)
        hits = memory.search(Query(text=question, k=20, modalities=TEXTS))
        for hit in hits:
            assert hit.score == pytest.approx(expected[hit.text], abs=0.02)
        worst = min(hit.score for hit in hits)
        found = {hit.text for hit in hits}
        assert all(text in found for text, score in expected.items() if score > worst + 0.04)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    st.text(max_size=60)
    | st.sampled_from(['"', "NEAR(a b)", "text:x", "a* OR", "AND", "NOT x", "-", "'); DROP", "{a b}:c"])
)
def test_any_text_is_a_safe_question(talk, text):
    memory, _ = talk
    assert len(memory.search(Query(text=text, k=3))) <= 3
    memory._store.reader.execute(
        "SELECT count(*) FROM observation_text WHERE observation_text MATCH ?",
        (match_expression(terms_of(text) or ["x"]),),
    ).fetchone()


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40))
def test_any_text_can_be_said_found_and_forgotten(tmp_path_factory, text):
    with Memory.open(tmp_path_factory.mktemp("any"), text_encoder=BagOfWords(), mode="w") as memory:
        memory.write([said(text, 1, 2), said("something else", 5, 6)])
        assert any(row.text == text for row in memory.rows())
        if terms_of(text):
            assert any(hit.text == text for hit in memory.search(Query(text=text, k=2)))
        memory.forget(span=span(0, 3))
        assert [row.text for row in memory.rows()] == ["something else"]
        memory._store.writer.execute("INSERT INTO observation_text (observation_text) VALUES ('integrity-check')")


def test_streams_are_ordered_by_wall_clock(memory):
    from reverie.types import StreamStart

    for name, anchor_s in (("late", 1000), ("early", 0)):
        memory.write([
            StreamStart(
                stream_id=name, uri="", live=True, has_video=False, has_audio=True, wall_anchor_ns=ns(anchor_s)
            ),
            said("copper", 5, 6, name),
        ])  # fmt: skip
    assert [hit.stream_id for hit in memory.search(Query(text="copper"))] == ["early", "late"]


def test_weights_are_options(tmp_path):
    with Memory.open(tmp_path, text_encoder=BagOfWords(), mode="w", config=ONLY_WORDS) as memory:
        memory.write(make_stream(1, duration_s=60))
        assert all(hit.lexical > 0 for hit in memory.search(Query(text="lantern", k=30, modalities=TEXTS)))


@pytest.mark.parametrize(
    ("question", "role"),
    [
        ("What did I say about copper?", "user"),
        ("What did you say about copper?", "assistant"),
    ],
)
def test_the_role_that_a_question_means_is_preferred(memory, question, role):
    memory.write([said("assistant: the copper pipe", 5, 6), said("user: the copper pipe", 1005, 1006)])
    assert best(memory.search(Query(text=question))).text.startswith(role)
    assert len(memory.search(Query(text=question))) == 2


def test_a_question_that_means_both_or_no_one_prefers_no_role(memory):
    memory.write([said("assistant: the copper pipe", 5, 6), said("user: the copper pipe", 1005, 1006)])
    for question in ("What did you tell me about copper?", "Where is the copper pipe?"):
        hits = memory.search(Query(text=question))
        assert hits[0].lexical == hits[1].lexical
        assert hits[0].score == pytest.approx(hits[1].score, abs=0.1)


def test_function_words_are_not_looked_for():
    assert terms_of("How many days ago did I buy a smoker?") == ["many", "days", "ago", "buy", "smoker"]
    assert terms_of("Where was it?") == []


def test_phrases_run_from_one_term_to_the_next():
    text = "Who was head of state when the Copper Bridge of the old river fell? The copper bridge!"
    assert phrases_of(text, terms_of(text)) == [
        ("head", "of", "state"), ("state", "when", "the", "copper"), ("copper", "bridge"),
        ("bridge", "of", "the", "old"), ("old", "river"), ("river", "fell"), ("fell", "the", "copper"),
    ]  # fmt: skip
    assert phrases_of(text, {"head", "copper"}) == []  # too far apart
    assert phrases_of("copper", {"copper"}) == []
    assert phrases_of("", {"copper"}) == []


def test_a_text_that_says_the_phrase_is_preferred(memory):
    texts = ("state a head of cabbage", "a head of state came", "a lantern", "tea")
    memory.write([said(text, 1000 * place, 1000 * place + 1) for place, text in enumerate(texts)])
    hits = {hit.text: hit for hit in memory.search(Query(text="heads of states?", k=4))}
    scattered, phrase = hits["state a head of cabbage"], hits["a head of state came"]
    assert phrase.lexical == scattered.lexical == pytest.approx(1)
    assert phrase.score > scattered.score + 0.05


def test_a_phrase_is_not_lent_to_the_text_beside(tmp_path):
    texts = ("nothing here", "the copper lantern", "nothing there", "copper", "lantern", "window", "garden", "engine")
    scores = {}
    for share in (0.0, 0.5):
        only_words = SearchConfig(text_dense_weight=0, text_lexical_weight=1, pair_share=share)
        config = MemoryConfig(search=only_words)
        with Memory.open(tmp_path / str(share), text_encoder=BagOfWords(), mode="w", config=config) as memory:
            memory.write([said(text, 5 * place, 5 * place + 1) for place, text in enumerate(texts)])
            scores[share] = {hit.text: hit.score for hit in memory.search(Query(text="copper lantern", k=8))}
    assert scores[0.5]["the copper lantern"] > scores[0.0]["the copper lantern"] + 0.05
    others = set(texts) - {"the copper lantern"}
    assert {text: scores[0.5][text] for text in others} == {text: scores[0.0][text] for text in others}


def test_a_phrase_of_common_words_brings_a_score_to_1_at_most(memory):
    words = ("copper", "lantern", "bridge")
    memory.write([said(f"{words[i % 3]} and tea with cakes", 1000 * i, 1000 * i + 1) for i in range(57)])
    memory.write([said(" ".join(words), 90_000, 90_001)])
    hit = best(memory.search(Query(text=" ".join(words), k=5)))
    assert hit.text == "copper lantern bridge"
    assert 0.9 < hit.score <= 1


def test_a_forgotten_phrase_is_not_found(memory):
    memory.write([said("the copper lantern", 0, 1), said("a lantern of copper", 1000, 1001)])
    memory.forget(span=span(0, 10))
    assert [hit.text for hit in memory.search(Query(text="copper lantern", k=5))] == ["a lantern of copper"]
    query = weigh(memory._store.reader, "copper lantern", num_texts=1)
    assert [match.ids.tolist() for match in search_phrases(memory._store.reader, query, 0.5, 100)] == [[]]


def test_a_place_is_a_filter(memory):
    from reverie.types import StreamStart

    for name, place in (("a", "kitchen"), ("b", "garden")):
        memory.write([
            StreamStart(
                stream_id=name, uri="", live=True, has_video=False, has_audio=True, place=place, timezone="Asia/Tokyo"
            ),
            said("copper", 5, 6, name),
        ])  # fmt: skip
    assert [hit.stream_id for hit in memory.search(Query(text="copper", places=("garden",)))] == ["b"]
    assert memory.search(Query(text="copper", places=("garden",), stream_ids=("a",))) == []
    assert [hit.stream_id for hit in memory.search(Query(places=("kitchen",)))] == ["a"]
    assert memory.search(Query(places=("attic",))) == []
    assert [record.place for record in memory.streams()] == ["kitchen", "garden"]
    assert {record.timezone for record in memory.streams()} == {"Asia/Tokyo"}
