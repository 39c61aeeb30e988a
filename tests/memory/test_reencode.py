"""A change of encoder: questions carried over by the anchors, and the memory embedded anew."""

from __future__ import annotations

import dataclasses
import shutil
import sqlite3
from contextlib import closing, contextmanager

import numpy as np
import pytest

from reverie.clock import ManualClock
from reverie.errors import MemoryFull, MemoryStoreError
from reverie.memory import Memory, MemoryConfig, StoreConfig
from reverie.memory.anchors import anchor_texts, carry_over, embed_anchors, pack_anchors, unpack_anchors
from reverie.memory.reencode import PictureEncoder
from reverie.memory.store import Store
from reverie.types import EndOfStream, Label, Query, ns
from tests.memory.reading import assert_whole, rows_of
from tests.memory.test_budget import LIMIT, TOLERANCE, Watcher, bytes_of
from tests.memory.worlds import BagOfWords, heard, make_stream, said, seen, unit


class Turned(BagOfWords):
    """The same meanings in another space: every vector turned, of another width, and bent by a common part."""

    def __init__(self, width: int = 96) -> None:
        super().__init__(encoder_id="turned")
        rng = np.random.default_rng(8)
        self._turn = np.linalg.qr(rng.standard_normal((width, width)))[0][: self.width]
        self._common = rng.standard_normal(width) / np.sqrt(width)
        self.fails_after: int | None = None

    def encode(self, texts):
        if self.fails_after is not None:
            self.fails_after -= 1
            if self.fails_after < 0:
                raise RuntimeError("cut short")
        vectors = super().encode(texts) @ self._turn + 0.3 * self._common
        return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def pictures(width: int = 48) -> PictureEncoder:
    def encode(jpegs):
        return np.stack([unit(np.random.default_rng(len(jpeg)).standard_normal(width)) for jpeg in jpegs])

    return PictureEncoder(encoder_id="sight-2", encode=encode)


@pytest.fixture
def written(tmp_path):
    with Memory.open(tmp_path, text_encoder=BagOfWords(), mode="w") as memory:
        memory.write(make_stream(3, duration_s=90))
    return tmp_path


def encoders_of(folder):
    with closing(sqlite3.connect(folder / "memory.sqlite")) as db:
        return dict(
            db.execute("SELECT e.name, count(*) FROM vector v JOIN encoder e ON e.id = v.encoder GROUP BY e.name")
        )


def test_anchors_are_a_fixed_list_of_distinct_texts():
    assert len(set(anchor_texts())) == len(anchor_texts()) == 256
    assert all(text == text.strip() for text in anchor_texts())


def test_anchors_survive_packing():
    anchors = embed_anchors(BagOfWords())
    np.testing.assert_allclose(unpack_anchors(pack_anchors(anchors), 64), anchors, atol=0.005)
    with pytest.raises(ValueError, match="instead of"):
        unpack_anchors(pack_anchors(anchors), 32)


def test_a_question_carried_over_points_at_what_it_means():
    old, new = BagOfWords(), Turned()
    words = ["river", "bridge", "dog", "coffee", "train", "winter", "garden", "music", "doctor", "window"]
    stored, asked = embed_anchors(old), embed_anchors(new)
    carried = np.stack([carry_over(query, asked, stored) for query in new.encode(words)])
    np.testing.assert_allclose(np.linalg.norm(carried, axis=1), 1, atol=1e-5)
    cosines = carried @ old.encode(words).T
    assert (cosines.argmax(axis=1) == np.arange(len(words))).all()


def test_a_memory_answers_another_encoder(tmp_path):
    with Memory.open(tmp_path, text_encoder=BagOfWords(), mode="w") as memory:
        memory.write([said(text, 400 * i, 400 * i + 2) for i, text in enumerate(["a dog", "the coffee", "heavy snow"])])

    class Puns(Turned):
        def encode(self, texts):
            return super().encode([{"espresso": "the coffee"}.get(text, text) for text in texts])

    with Memory.open(tmp_path, text_encoder=Puns()) as memory:
        hits = memory.search(Query(text="espresso", k=1))  # a word that no text holds
        assert [hit.text for hit in hits] == ["the coffee"]
        assert hits[0].lexical == 0


def test_reencoding_leaves_nothing_of_the_old_encoder_and_changes_nothing_else(written):
    before = rows_of(written)
    old_bytes = before["encoder"][0]["anchors"]
    with Memory.open(written, text_encoder=Turned(), mode="w") as memory:
        receipt = memory.reencode(pictures())
        again = memory.reencode(pictures())
    assert receipt.texts > 5
    assert receipt.names > 5
    assert receipt.pictures > 0
    assert (again.texts, again.names, again.pictures, again.left) == (0, 0, 0, receipt.left)
    after = rows_of(written)
    for table in ("observation", "event", "track", "gap", "stream", "label"):
        assert after[table] == before[table]
    assert {row["encoder"] for row in after["sentence"]} == {
        row["id"] for row in after["encoder"] if row["name"] == "turned"
    }
    assert [(row["observation"], row["part"]) for row in after["sentence"]] == [
        (row["observation"], row["part"]) for row in before["sentence"]
    ]
    assert encoders_of(written)["sight-2"] == receipt.pictures
    assert encoders_of(written)["turned"] == receipt.texts
    assert encoders_of(written).get("bag-of-words", 0) == receipt.left
    assert old_bytes is not None
    assert_whole(written)
    with Memory.open(written, text_encoder=Turned()) as memory:
        assert memory.verify().sound


def test_an_open_reader_follows(written):
    with (
        Memory.open(written, text_encoder=Turned(), mode="w") as writer,
        Memory.open(written, text_encoder=Turned()) as reader,
    ):
        reader.search(Query(text="lantern"))
        writer.reencode()
        fresh = Memory.open(written, text_encoder=Turned())
        with fresh:
            assert reader.search(Query(text="lantern")) == fresh.search(Query(text="lantern"))
        assert reader.search(Query(text="lantern"))[0].dense > 0


def test_a_run_that_was_cut_short_is_gone_on_with(tmp_path):
    with Memory.open(tmp_path, text_encoder=BagOfWords(), mode="w") as memory:
        memory.write([said(f"number {i} of many", 5 * i, 5 * i + 2) for i in range(100)])
    turned = Turned()
    turned.fails_after = 2  # the anchors, and the first batch
    with Memory.open(tmp_path, text_encoder=turned, mode="w") as memory:
        with pytest.raises(RuntimeError, match="cut short"):
            memory.reencode()
        turned.fails_after = None
        assert encoders_of(tmp_path) == {"bag-of-words": 68, "turned": 32}
        assert memory.search(Query(text="many", k=5))
        assert memory.reencode().texts == 68
        assert encoders_of(tmp_path) == {"turned": 100}
        memory.write([said("and one more", 900, 901), EndOfStream(stream_id="tv", pts_ns=ns(1000))])
        assert memory.verify().sound


def test_pictures_of_an_open_event_keep_their_vectors(tmp_path):
    with Memory.open(tmp_path, text_encoder=BagOfWords(), mode="w") as memory:
        memory.write([seen("cat", i, picture=i) for i in range(5)])
        assert memory.reencode(pictures()).pictures == 0
        memory.write([seen("car", 10 + i, picture=10 + i, cut=i == 0) for i in range(5)])
        assert 0 < memory.reencode(pictures()).pictures <= 5
        memory.write([seen("car", 20 + i, picture=20 + i) for i in range(5)])  # segmentation goes on


def test_a_vector_that_came_with_its_text_stays(tmp_path):
    own = dataclasses.replace(said("a bell", 0, 2), embedding=unit(np.ones(12)), encoder="ears")
    with Memory.open(tmp_path, text_encoder=BagOfWords(), mode="w") as memory:
        memory.write([own, said("a bell", 5, 6)])
    with Memory.open(tmp_path, text_encoder=Turned(), mode="w") as memory:
        receipt = memory.reencode()
    assert (receipt.texts, receipt.left) == (1, 1)
    assert encoders_of(tmp_path) == {"ears": 1, "turned": 1}


def printed(name, at_s):
    """A sound with a vector of its own, that also has a text."""
    vector = unit(np.random.default_rng(at_s).standard_normal(32))
    return dataclasses.replace(heard(name, at_s, at_s + 2), embedding=vector, encoder="print")


@pytest.mark.parametrize("closed", [False, True])
def test_the_texts_of_sounds_are_embedded_anew_and_their_prints_stay(tmp_path, closed):
    with Memory.open(tmp_path, text_encoder=BagOfWords(), mode="w") as memory:
        end = [EndOfStream(stream_id="tv", pts_ns=ns(30))] if closed else []
        memory.write([printed("music", 1), printed("a bell that rings", 6), *end])
    before = rows_of(tmp_path)
    with Memory.open(tmp_path, text_encoder=Turned(), mode="w") as memory:
        receipt = memory.reencode()
        again = memory.reencode()
        assert memory.verify().sound
        assert memory.search(Query(text="a bell", k=1))[0].text == "a bell that rings"
    assert (receipt.texts, receipt.names, receipt.left) == (2, 2, 2)
    assert (again.texts, again.names, again.left) == (0, 0, 2)
    after = rows_of(tmp_path)
    assert after["vector"] == before["vector"]
    (turned,) = [row["id"] for row in after["encoder"] if row["name"] == "turned"]
    assert [(row["observation"], row["encoder"]) for row in after["sentence"]] == [(1, turned), (2, turned)]
    assert_whole(tmp_path)


@contextmanager
def cut_short(monkeypatch, after):
    """The transaction after so many others is undone and raises."""
    transaction, done = Store.transaction, []

    @contextmanager
    def counted(self, **how):
        with transaction(self, **how) as db:
            yield db
            done.append(self)
            if len(done) > after:
                raise RuntimeError("cut short")

    with monkeypatch.context() as patched:
        patched.setattr(Store, "transaction", counted)
        yield done


def test_it_ends_the_same_wherever_it_was_cut_short(tmp_path, monkeypatch):
    from reverie.memory.coarse_codes import recode

    base, whole, cut = tmp_path / "base", tmp_path / "whole", tmp_path / "cut"
    with Memory.open(base, text_encoder=BagOfWords(), mode="w") as memory:
        texts = [said(f"number {i} of many. And the lantern on the bridge, too", 5 * i, 5 * i + 2) for i in range(100)]
        shown = [seen("cat", 600 + i, picture=i, cut=i % 4 == 0) for i in range(12)]
        memory.write([*texts, printed("music", 550), *shown, EndOfStream(stream_id="tv", pts_ns=ns(700))])
        with memory._store.transaction() as db:
            recode(db, "vector", list(range(1, 81)))
            recode(db, "sentence", list(range(1, 81)))
    shutil.copytree(base, whole)
    with Memory.open(whole, text_encoder=Turned(), mode="w") as memory, cut_short(monkeypatch, 1 << 30) as done:
        memory.reencode(pictures())
    assert len(done) > 5
    for after in range(len(done)):
        shutil.rmtree(cut, ignore_errors=True)
        shutil.copytree(base, cut)
        with Memory.open(cut, text_encoder=Turned(), mode="w") as memory:
            with cut_short(monkeypatch, after), pytest.raises(RuntimeError, match="cut short"):
                memory.reencode(pictures())
            memory.reencode(pictures())
            assert memory.verify().sound
        assert rows_of(cut) == rows_of(whole)


def full_memory(path, encoder):
    config = MemoryConfig(max_bytes=LIMIT, store=StoreConfig(durability="normal"))
    return Memory.open(path, text_encoder=encoder, mode="w", config=config, clock=ManualClock())


def fill(path, num_texts=160, num_names=100):
    """A memory at its budget: texts of several sentences, pictures with names."""
    with full_memory(path, BagOfWords()) as memory:
        for first in range(0, num_texts, 20):
            items = []
            for i in range(first, first + 20):
                text = ". ".join(f"the lantern number {i} on the bridge {part}" for part in range(12))
                names = tuple(Label(name=f"class {(3 * i + j) % num_names}", score=0.5) for j in range(3))
                shown = dataclasses.replace(seen("cat", 60 * i + 10, encoder="eyes", cut=True), labels=names)
                items += [said(text, 60 * i + 1, 60 * i + 4), shown]
            memory.write(items)


@pytest.mark.parametrize("width", [pytest.param(384, marks=pytest.mark.slow), 768])
def test_the_budget_is_kept_while_a_wider_encoder_comes(tmp_path, width):
    fill(tmp_path)
    watcher = Watcher(tmp_path)
    with full_memory(tmp_path, BagOfWords(width, "wide")) as memory:
        watcher.start()
        receipt = memory.reencode()
        again = memory.reencode()
        assert memory.verify().sound
    assert watcher.stop() <= TOLERANCE * LIMIT
    assert bytes_of(tmp_path) <= LIMIT
    assert receipt.texts > 10
    assert receipt.names >= 100
    assert (again.texts, again.names) == (0, 0)
    assert "bag-of-words" not in encoders_of(tmp_path)
    assert_whole(tmp_path)


def test_an_encoder_that_cannot_fit_is_refused_and_nothing_is_lost(tmp_path):
    fill(tmp_path, num_texts=40)
    before = rows_of(tmp_path)
    with full_memory(tmp_path, BagOfWords(3000, "wide")) as memory:
        with pytest.raises(MemoryFull, match="nothing was changed: raise max_bytes"):
            memory.reencode()
        assert memory.search(Query(text="lantern", k=1))
    assert rows_of(tmp_path) == before


def test_a_reader_cannot_reencode(written):
    with (
        Memory.open(written, text_encoder=Turned()) as memory,
        pytest.raises(MemoryStoreError, match="mode='w'"),
    ):
        memory.reencode()


@pytest.mark.slow
def test_two_real_encoders_understand_each_other_a_little():
    """MiniLM's nearest names by WordLlama's carried-over questions: several times what chance would find."""
    from benchmarks.static_encoder import WordLlama
    from reverie.perception.minilm import MiniLM

    own, other, texts = MiniLM(), WordLlama(), list(anchor_texts()[::3])
    used = [number for number in range(len(anchor_texts())) if number % 3]  # those asked for are no anchors
    for writer, asker in ((own, other), (other, own)):
        stored, asked = embed_anchors(writer), embed_anchors(asker)
        rows, queries = stored[::3], asked[::3]
        carried = np.stack([carry_over(query, asked[used], stored[used]) for query in queries])
        first = (carried @ rows.T).argsort(axis=1)[:, ::-1][:, :10]
        found = np.mean([number in best for number, best in enumerate(first.tolist())])
        assert found > 4 * 10 / len(texts)


def test_what_faded_to_coarse_codes_stays_so(tmp_path):
    from reverie.memory.coarse_codes import recode

    with Memory.open(tmp_path, text_encoder=BagOfWords(), mode="w") as memory:
        memory.write([said(f"number {i} of many", 5 * i, 5 * i + 2) for i in range(150)])
        with memory._store.transaction() as db:
            assert recode(db, "vector", list(range(1, 81))) == 80
    with Memory.open(tmp_path, text_encoder=Turned(), mode="w") as memory:
        assert memory.reencode().texts == 150
        (signed,) = memory._store.writer.execute("SELECT count(*) FROM vector WHERE centre IS NOT NULL").fetchone()
        assert 0 < signed <= 80  # the first ones come before there are enough for a centre
        assert memory.verify().sound
        assert memory.search(Query(text="number 99", k=1))[0].text == "number 99 of many"


def test_an_encoder_that_was_first_asked_with_is_known_for_texts_afterwards(tmp_path):
    both = Turned(64)
    sight = dataclasses.replace(seen("zebra", 0), encoder=both.encoder_id, labels=())
    queries = {both.encoder_id: both}
    with Memory.open(tmp_path, text_encoder=BagOfWords(), mode="w", query_encoders=queries) as memory:
        memory.write([sight])
    with Memory.open(tmp_path, text_encoder=both, mode="w") as memory:
        memory.write([said("river bridge", 5, 6)])
    with Memory.open(tmp_path, text_encoder=BagOfWords(), mode="w") as memory:
        assert memory.reencode().texts == 1
    assert encoders_of(tmp_path) == {"turned": 1, "bag-of-words": 1}
