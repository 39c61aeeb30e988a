"""What a profile cannot perceive, and which names a viewer's words fit."""

import pytest

from reverie.reasoning.evidence import parted
from reverie.reasoning.names import NameBook, word_places
from reverie.reasoning.phrasing import clock, lasting, one_line, picture_place, plural, quote
from reverie.reasoning.question import parse
from reverie.reasoning.senses import BEYOND, Senses, missing_sense
from reverie.reasoning.vocabulary import coverage, occurrences, stem, stems
from reverie.types import Box, ns
from tests.reasoning.fakes import MEANINGS, SENSES


@pytest.mark.parametrize(
    ("text", "sense"),
    [
        ("Who is the man in the picture?", "identity"),
        ("Whose voice is that?", "identity"),
        ("What colour was the car?", "colour"),
        ("Did you see a red car?", "colour"),
        ("Was the car blue?", "colour"),
        ("What is the man doing?", "action"),
        ("Was anyone running?", "action"),
        ("Is the woman happy?", "emotion"),
        ("Why did the cat leave?", "reason"),
        ("Which direction did the bus go?", "motion"),
        ("What was she wearing?", "attribute"),
        ("Did a dog bark?", "sound"),
        ("What does the soup smell like?", "body"),
        ("What was under the table?", "relation"),
        ("When did the cat appear?", ""),
        ("Did you see a red fox?", ""),
        ("What was the dominant colour of the picture?", ""),
        ("Was any music playing?", ""),
        ("Did you see an orange?", ""),
        ("When did the opening title start?", ""),
    ],
)
def test_what_a_question_needs(text, sense):
    assert missing_sense(parse(text).plain, SENSES) == sense


def test_a_profile_with_eyes_for_it_declines_nothing():
    assert missing_sense("what is the man doing", Senses(profile="standard")) == ""


def test_declining_names_the_profile_that_would():
    assert "takes a vision-language model, which no profile of reverie has yet" in SENSES.explain_missing("action")
    able = Senses(profile="embedded", missing={"action": "standard"})
    assert able.explain_missing("action").endswith("that takes the 'standard' profile.")
    assert "No profile" in SENSES.explain_missing("body")
    assert all(SENSES.explain_missing(sense) for sense in BEYOND)


@pytest.mark.parametrize(
    ("cue", "names"),
    [
        ("cat", ["cat"]),
        ("motorbike", ["motorcycle"]),
        ("people", ["person"]),
        ("mobile phone", ["cell phone"]),
        ("brown teddy bear", ["teddy bear"]),
        ("cat food", []),
        ("bus stop", []),
        ("rocket", []),
        ("vehicles", ["airplane", "bicycle", "boat", "bus", "car", "motorcycle", "train", "truck"]),
    ],
)
def test_words_for_things(cue, names):
    assert sorted(NameBook(SENSES).objects(cue)) == names


def test_a_word_that_says_more_than_the_detector_knows_fits_less():
    assert NameBook(SENSES).objects("puppy")["dog"] < NameBook(SENSES).objects("dog")["dog"]


def test_words_fit_classes_by_name_synonym_and_definition():
    fit = NameBook(SENSES).fit
    assert fit("cat", "tabby") > 0.7
    assert fit("rocket", "missile") > 0.7
    assert fit("coffee", "espresso") > 0.7
    assert fit("explosives", "missile") < 0.5
    assert fit("dog", "tabby") == 0
    assert fit("cat", "missile") == 0
    assert fit("", "missile") == 0


def test_a_name_of_its_own_is_not_its_parts():
    fit = NameBook(SENSES).fit
    assert fit("hot dog", "dog") == 0
    assert fit("red fox", "red fox") == 1
    assert fit("big cat", "tabby") < fit("cat", "tabby")
    assert "coin" not in word_places("pay-phone", "pay-phone: a coin-operated telephone")


def test_what_is_said_of_a_thing_lowers_its_fit():
    book = NameBook(SENSES)
    assert list(book.objects("man in a car")) == ["person"]
    assert book.objects("Boston dog", ("boston",))["dog"] < book.objects("old dog")["dog"] < book.objects("dog")["dog"]


def test_the_genus_of_a_definition_is_its_head():
    places = word_places("missile", MEANINGS["missile"])
    assert places[stem("rocket")] > places[stem("warhead")]


@pytest.mark.parametrize(
    ("a", "b"),
    [("leaves", "leaving"), ("people", "person"), ("seven", "7"), ("tomatoes", "tomato"), ("stopped", "stops"),
     ("parties", "party"), ("buses", "bus"), ("said", "says"), ("making", "make")],
)  # fmt: skip
def test_inflections_share_a_stem(a, b):
    assert stem(a) == stem(b)


@pytest.mark.parametrize(("a", "b"), [("cat", "car"), ("train", "rain"), ("noon", "moon"), ("platform", "plate")])
def test_different_words_do_not(a, b):
    assert stem(a) != stem(b)


def test_coverage_forgives_a_recognisers_spelling():
    assert coverage(stems("Wivenhoe park"), stems("Wivennoe Park")) == 1.0
    assert coverage(stems("Chicago"), stems("the train to Boston")) == 0.0


def test_occurrences_do_not_overlap():
    assert occurrences(["a", "a"], ["a", "a", "a"]) == 1
    assert occurrences(["a"], ["a", "b", "a"]) == 2
    assert occurrences([], ["a"]) == 0


def test_wording():
    assert clock(ns(42.9)) == "0:42"
    assert clock(ns(3723)) == "1:02:03"
    assert lasting(ns(8.5)) == "8.5 seconds"
    assert lasting(ns(125)) == "2 minutes 5 seconds"
    assert plural("person") == "people"
    assert plural("bus") == "buses"
    assert quote("he said “no”\nthen\x00 left") == "“he said 'no' then left”"
    assert one_line("word " * 200, 50).endswith("…")


@pytest.mark.parametrize(
    ("corners", "place"),
    [
        ((0.0, 0.4, 0.2, 0.6), "on the left of the picture"),
        ((0.8, 0.0, 1.0, 0.2), "at the upper right of the picture"),
        ((0.4, 0.4, 0.6, 0.6), "in the middle of the picture"),
        ((0.4, 0.8, 0.6, 1.0), "at the bottom of the picture"),
        ((0.0, 0.0, 1.0, 1.0), "filling most of the picture"),
    ],
)
def test_places_in_the_picture(corners, place):
    x0, y0, x1, y1 = corners
    box = Box(track_id=1, name="cat", score=0.9, x0=x0, y0=y0, x1=x1, y1=y1, since_ns=0)
    assert picture_place(box) == place


@pytest.mark.parametrize(
    ("text", "wanted", "shown"),
    [
        ("DANGERHIGH VOLTAGE", ["danger", "high", "voltage"], "danger high voltage"),
        ("EMERGENCY EXITON LEVEL 3", ["exit"], "emergency exit on level 3"),
        ("THE FIREPLACE", ["fire"], "the fireplace"),
        ("WELCOME", ["welcome"], "welcome"),
    ],
)
def test_spaces_that_recognition_lost_come_back_between_wanted_words(text, wanted, shown):
    assert parted(text, wanted) == shown
