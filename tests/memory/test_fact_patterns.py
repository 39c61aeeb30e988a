"""Which sentences become facts, and, more important, which do not."""

from __future__ import annotations

import pytest

from reverie.memory.fact_patterns import statements

STATED = [
    ("The code of the garage is 4711.", ("garage", "code", "4711")),
    ("The front door code is 4711", ("front door", "code", "4711")),
    ("The wifi password is hunter2", ("wifi", "password", "hunter2")),
    ("The password of the printer has been changed from foo to Swordfish7.", ("printer", "password", "Swordfish7")),
    ("The combination of the locker is 12-34-56", ("locker", "combination", "12-34-56")),
    ("The deadline is Friday", ("deadline", "is", "Friday")),
    ("The deadline for the report has been moved to Monday.", ("report", "deadline", "Monday")),
    ("I put my keys in the blue bowl.", ("keys", "location", "in the blue bowl")),
    ("We parked the car on level 3, near the lift.", ("car", "location", "on level 3")),
    ("The red box is under the table now.", ("red box", "location", "under the table")),
    ("I'm at the airport", ("speaker", "location", "at the airport")),
    ("The meeting has been moved to Friday at 3.", ("meeting", "time", "Friday at 3")),
    ("The meeting is at 3 pm.", ("meeting", "time", "3 pm")),
    ("The shop opens at 9 am.", ("shop", "open", "9 am")),
    ("The train to Berlin leaves at 9:40", ("train to Berlin", "depart", "9:40")),
    ("Anna: I work at the museum now.", ("Anna", "workplace", "the museum")),
    ("Anna: my cat is called Minka.", ("Anna's cat", "name", "Minka")),
    ("Anna lives in Rome.", ("Anna", "home", "Rome")),
    ("Tom moved to Lisbon.", ("Tom", "home", "Lisbon")),
    ("The weekly target is 5,000 words", ("weekly", "target", "5,000 words")),
    ("I've been keeping my old sneakers under my bed for now", ("old sneakers", "location", "under my bed")),
    ("My name is Tom.", ("speaker", "name", "Tom")),
    ("The price of the ticket is now 12 euros.", ("ticket", "price", "12 euros")),
    ("Tickets cost 5 dollars", ("Tickets", "price", "5 dollars")),
    ("The gate has changed to B12", ("gate", "is", "B12")),
    ("The library closes at 6 o'clock on Fridays.", ("library", "close", "6 o'clock on Fridays")),
    ("The meeting is on 3 May.", ("meeting", "time", "3 May")),
    ("The office is now closed.", ("office", "is", "closed")),
    ("Well, by the way, Anna’s boss is Tom.", ("Anna", "boss", "Tom")),
]
NOT_STATED = [
    "The code is not 4711.",
    "What is the code of the garage?",
    "Is the code of the garage 4711",
    "If the code of the garage is 4711, press it.",
    "He said the code of the garage is 4711.",
    "Maybe the code of the garage is 4711.",
    "The meeting may be on Friday.",
    "The shop may open at 9 am.",
    "The code of the garage used to be 4711.",
    "I wish my car was in the garage.",
    "The code of the garage isn't 4711.",
    "I think the keys are in the bowl.",
    "The code of the garage was 4711 last year.",
    "I am in love",
    "The movie is on at eight, I heard",
    "It is in the kitchen.",
    "She lives in Rome.",
    "The price is right.",
    "The keys are in a hurry.",
    "The answer is at the end.",
    "My heart is in it.",
    "His name is Tom.",
    "",
    "The code of the garage will be 4711.",
    "a b c",
    "I'm on a budget.",
    "I'm in the market for a bottle.",
    "I'm in my 30s.",
    "They left the heart in the mummy.",
    "The sides are in the ratio 2:3.",
    'Write: "Hi, my name is Darryl."',
]


@pytest.mark.parametrize(("text", "triple"), STATED)
def test_a_plain_statement_becomes_one_fact(text, triple):
    assert [(told.subject, told.predicate, told.object) for told in statements(text)] == [triple]


@pytest.mark.parametrize("text", NOT_STATED)
def test_anything_else_does_not(text):
    assert statements(text) == []


def test_quotes_stand_in_the_text_word_for_word():
    text = "Good morning all. The garage’s code is 4711! And the car is in the garage; lunch?"
    found = statements(text)
    assert [(told.subject, told.object) for told in found] == [("garage", "4711"), ("car", "in the garage")]
    assert all(told.quote in text for told in found)
    assert found[0].quote == "The garage’s code is 4711!"


def test_a_long_text_is_read_in_bounded_time():
    assert statements("the " * 20_000) == []
    assert statements("I put the a a a a a " * 2000) == []
