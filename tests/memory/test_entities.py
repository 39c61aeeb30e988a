"""A name and a look are bound by one showing, and each finds the other."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from reverie.clock import ManualClock
from reverie.errors import UsageError
from reverie.memory import Memory
from reverie.memory.entities import erase_entity
from reverie.types import EndOfStream, Query, ns
from tests.memory.reading import assert_whole, bytes_in, rows_of
from tests.memory.worlds import WIDTH, BagOfWords, direction, heard, said, seen, span, unit

SPACE = "bag-of-words"


@pytest.fixture
def memory(tmp_path):
    clock = ManualClock(wall_ns=ns(7))
    with Memory.open(tmp_path / "m", text_encoder=BagOfWords(), mode="w", clock=clock) as memory:
        scenes = ("tabby cat", "sports car", "mountain", "tabby cat", "pizza")
        for number, scene in enumerate(scenes):
            memory.write([seen(scene, 10 * number + k, noise=0.3, cut=k == 0, picture=number) for k in range(10)])
        memory.write([said("nothing of interest", 3, 5), EndOfStream(stream_id="tv", pts_ns=ns(50))])
        yield memory


def look(scene: str, seed: int = 3, noise: float = 0.3) -> np.ndarray:
    base = BagOfWords().encode([scene])[0]
    return unit(base + noise * np.random.default_rng(seed).standard_normal(WIDTH) / np.sqrt(WIDTH))


def test_one_showing_is_enough_both_ways(memory):
    taught = memory.teach("Minka", looks=[look("tabby cat")], encoder=SPACE, aliases=["the tiger"])
    assert (taught.name, taught.aliases, taught.num_looks, taught.kind, taught.taught_ns) == (
        "Minka", ("the tiger",), 1, "thing", ns(7),
    )  # fmt: skip
    memory.teach("Flitzer", looks=[look("sports car")], encoder=SPACE)
    ranked = memory.recognise(look("tabby cat", seed=9), SPACE)
    assert [entity.name for entity, _ in ranked] == ["Minka", "Flitzer"]
    assert ranked[0][1] > 0.8 > ranked[1][1]
    for question in ("When was Minka there?", "is THE TIGER here"):
        hits = [hit for hit in memory.search(Query(text=question, k=4)) if hit.score > 0.5]
        assert [(hit.span.start_s, hit.span.end_s) for hit in hits] == [(0, 10), (30, 40)]
        assert all(hit.labels[0].name == "Minka" for hit in hits)
    assert all(hit.labels[0].name != "Minka" for hit in memory.search(Query(text="Is Min here?", k=4)))


def test_a_time_at_which_it_was_seen_teaches_it(memory):
    memory.teach("Kuppe", stream_id="tv", span=span(24.2, 24.2))
    ranked = memory.recognise(look("mountain"), SPACE)
    assert ranked[0][0].name == "Kuppe"
    (hit,) = [hit for hit in memory.search(Query(text="Kuppe", k=3)) if hit.score > 0.5]
    assert hit.span == span(20, 30)


def test_teaching_again_adds(memory):
    memory.teach("Minka", looks=[look("tabby cat")], encoder=SPACE)
    again = memory.teach("minka", looks=[look("pizza")], sounds=[unit(direction("meow"))], encoder=SPACE)
    assert (again.name, again.num_looks, again.num_sounds) == ("Minka", 2, 1)
    assert [entity.name for entity, _ in memory.recognise(look("pizza"), SPACE)] == ["Minka"]
    assert memory.entities("unknown") == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"name": "  "}, "cannot be a name"),
        ({"looks": []}, "at least once"),
        ({"looks": [np.ones(WIDTH, np.float32)]}, "unit vector"),
        ({"looks": [unit(np.ones(3))]}, "unit vector of 64"),
        ({"encoder": ""}, "name of its encoder"),
        ({"kind": "smell"}, "no kind 'smell'"),
        ({"kind": "face"}, "Memory.allow_templates"),
        ({"stream_id": "tv"}, "give both"),
        ({"stream_id": "radio", "span": span(0, 1)}, "no stream is called 'radio'"),
        ({"looks": [], "stream_id": "tv", "span": span(-9, -8)}, "not watched at -9 s: name a time from"),
        ({"aliases": ["Taken"]}, "is a name of 'Taken' already"),
        ({"name": "Also"}, "another name of 'Taken'"),
        ({"name": "taken", "kind": "voice"}, "Memory.allow_templates"),
    ],
)
def test_what_cannot_be_taught_says_why_and_leaves_nothing(memory, tmp_path, options, message):
    memory.teach("Taken", looks=[look("pizza")], encoder=SPACE, aliases=["also"])
    before = rows_of(tmp_path / "m")
    call = {"name": "Minka", "looks": [look("tabby cat")], "encoder": SPACE, **options}
    with pytest.raises(UsageError, match=message):
        memory.teach(call.pop("name"), **call)
    assert rows_of(tmp_path / "m") == before


def test_faces_and_voices_need_a_consent_that_can_be_taken_back(memory, tmp_path):
    with pytest.raises(UsageError, match="who allows it"):
        memory.allow_templates("face", by=" ", reason="a test")
    with pytest.raises(UsageError, match="needs no consent"):
        memory.allow_templates("thing", by="me", reason="a test")
    memory.allow_templates("face", by="Anna herself", reason="to be greeted")
    assert memory.consents() == {"face": (ns(7), "Anna herself", "to be greeted")}
    vector = look("tabby cat")
    memory.teach("Annaquetzal", looks=[vector], encoder="facespace9", kind="face")
    assert memory.recognise(vector, "facespace9")[0][0].kind == "face"
    assert bytes_in(tmp_path / "m", b"Annaquetzal")
    assert memory.revoke_templates("face") == 1
    assert memory.entities() == []
    assert memory.consents() == {}
    code = np.rint(vector * 127 / np.abs(vector).max()).astype(np.int8).tobytes()
    for trace in (b"Annaquetzal", b"annaquetzal", b"Anna herself", b"facespace9", code):
        assert bytes_in(tmp_path / "m", trace) == []
    with pytest.raises(UsageError, match="off"):
        memory.teach("Annaquetzal", looks=[vector], encoder="facespace9", kind="face")


def test_what_was_learned_in_a_span_is_forgotten_with_it(memory, tmp_path):
    memory.teach("Quetzalkuppe", stream_id="tv", span=span(24, 25))
    memory.teach("Zweimal", stream_id="tv", span=span(24, 25))
    memory.teach("Zweimal", looks=[look("pizza")], encoder=SPACE)
    memory.forget(span=span(24.2, 24.6))
    assert [(entity.name, entity.num_looks) for entity in memory.entities()] == [("Zweimal", 1)]
    assert bytes_in(tmp_path / "m", b"uetzalkuppe") == []
    memory.forget(everything=True)
    assert memory.entities() == []
    assert_whole(tmp_path / "m")


def test_a_look_goes_with_the_picture_that_it_was_taken_from(memory):
    memory.write([seen("umbrella", 60, picture=77), EndOfStream(stream_id="tv", pts_ns=ns(90))])
    memory.teach("Schirm", stream_id="tv", span=span(70, 71))  # the picture of 60 s stands there
    memory.forget(span=span(80, 81))  # and here
    assert memory.entities() == []


def test_an_entity_is_erased_by_any_of_its_names(memory):
    memory.teach("Minka", looks=[look("tabby cat")] * 2, encoder=SPACE, aliases=["tiger"])
    with memory._store.transaction() as db:
        erase_entity(db, "Tiger")
        erase_entity(db, "Tiger")  # there is none any more
    assert memory.entities() == []
    assert memory.verify().sound


def test_what_was_taught_is_there_in_a_backup(memory, tmp_path):
    memory.teach("Minka", looks=[look("tabby cat")], encoder=SPACE)
    memory.backup(tmp_path / "copy")
    with Memory.open(tmp_path / "copy", text_encoder=BagOfWords()) as copy:
        assert [entity.name for entity in copy.entities()] == ["Minka"]


def test_an_entity_is_forgotten_with_all_that_holds_its_names(memory, tmp_path):
    memory.teach("Minka", looks=[look("tabby cat")], encoder=SPACE, aliases=["the tiger"])
    memory.teach("Flitzer", looks=[look("sports car")], encoder=SPACE)
    memory.write([said("Minka is asleep", 60, 62), said("a tiger sleeps", 63, 64), said("The tiger is up", 65, 67)])
    with pytest.raises(UsageError, match="nothing was taught under the name 'Rex'"):
        memory.forget(entity="Rex")
    with pytest.raises(UsageError, match="name nothing beside it"):
        memory.forget(entity="Minka", stream_ids=["tv"])
    before = rows_of(tmp_path / "m")
    assert memory.forget(entity="minka", dry_run=True).templates == 1
    assert rows_of(tmp_path / "m") == before
    receipt = memory.forget(entity="the tiger")
    assert (receipt.templates, receipt.senses["speech"]) == (1, 2)
    assert [entity.name for entity in memory.entities()] == ["Flitzer"]
    assert "a tiger sleeps" in {row["text"] for row in rows_of(tmp_path / "m")["observation"]}
    assert not bytes_in(tmp_path / "m", b"Minka")
    assert_whole(tmp_path / "m")


def test_a_receipt_counts_what_was_derived_and_taught(memory):
    memory.write([said("The code of the garage is 4711.", 60, 62)])
    memory.note("she locks it at night", stream_id="tv", about=span(60, 61))
    memory.teach("Minka", looks=[look("tabby cat")] * 2, encoder=SPACE)
    memory.teach("Flitzer", looks=[look("sports car")], encoder=SPACE)
    receipt = memory.forget(text="garage")
    assert (receipt.facts, receipt.notes, receipt.entities) == (1, 1, 0)
    preview, receipt = memory.forget(everything=True, dry_run=True), memory.forget(everything=True)
    assert (receipt.facts, receipt.notes, receipt.entities, receipt.templates) == (0, 0, 2, 3)
    assert (preview.entities, preview.templates) == (2, 3)


def test_a_time_that_was_not_watched_teaches_nothing(memory):
    for at_s in (9_000, -5):
        with pytest.raises(UsageError, match=r"'tv' was not watched at .*: name a time from 0 to"):
            memory.teach("Minka", stream_id="tv", span=span(at_s, at_s))
        with pytest.raises(UsageError, match="was not watched"):
            memory.note("nobody is there", stream_id="tv", about=span(at_s, at_s + 1))
    assert memory.entities() == memory.notes() == []


def test_a_time_teaches_its_sound_and_every_recurrence_bears_the_name(memory):
    bells = [
        replace(heard("sound", at, at + 1), embedding=unit(direction("dong")), encoder="prints") for at in (60, 70, 80)
    ]
    memory.write([*bells, replace(heard("sound", 90, 91), embedding=unit(direction("crack")), encoder="prints")])
    taught = memory.teach("Gong", stream_id="tv", span=span(60.5, 60.5), sense="sound")
    assert (taught.num_looks, taught.num_sounds) == (0, 1)
    named = [hit for hit in memory.search(Query(text="When was Gong heard?", k=8)) if hit.labels[0].name == "Gong"]
    assert [hit.span.start_s for hit in named] == [60, 70, 80]
    assert all(hit.labels[0].score == pytest.approx(1, abs=0.01) for hit in named)


def test_a_sound_without_a_vector_of_its_own_cannot_be_learned(memory):
    """As memories have them that were written before sounds had prints: their vector is that of a word."""
    memory.write([heard("music", 60, 64)])
    with pytest.raises(UsageError, match="no sound of that time"):
        memory.teach("Gong", stream_id="tv", span=span(61, 61), sense="sound")
