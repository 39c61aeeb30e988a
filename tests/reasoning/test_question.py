"""Questions as people put them, read into kinds, cues, senses, times and clauses."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reverie.reasoning.grammar import QuestionKind as K
from reverie.reasoning.question import SEEN, TEXT, parse
from reverie.types import Modality

SPEECH, WRITING, SOUND = (Modality.SPEECH,), (Modality.WRITING,), (Modality.SOUND,)


@pytest.mark.parametrize(
    ("text", "kind", "cues"),
    [
        ("When did the cat appear?", K.WHEN, ["cat"]),
        ("when's the cat on screen", K.WHEN, ["cat"]),
        ("At what time does the train to Boston leave?", K.WHEN, ["train to boston leave"]),
        ("Show me when the motorcycle comes into view", K.WHEN, ["motorcycle"]),
        ("Find the moment when someone says “water the tomatoes”.", K.WHEN, ["water the tomatoes"]),
        ("Could you please find the rocket?", K.WHEN, ["rocket"]),
        ("cat", K.WHEN, ["cat"]),
        ("What did she say about the train?", K.SAID, ["train"]),
        ("what was said", K.SAID, []),
        ("What did you hear?", K.SAID, []),
        ("What text was on screen?", K.WRITTEN, []),
        ("WHAT DID THE SIGN SAY", K.WRITTEN, []),
        ("What was written about the garden?", K.WRITTEN, ["garden"]),
        ("Who is Anna?", K.WHO, ["anna"]),
        ("Who said the train leaves?", K.WHO, ["train leaves"]),
        ("Where was the cat?", K.WHERE, ["cat"]),
        ("Where was the cat before?", K.WHERE, ["cat"]),
        ("Where did the cat originally sleep?", K.WHERE, ["cat sleep"]),
        ("Did you see a cat?", K.IS_THERE, ["cat"]),
        ("Is there a dog in the video?", K.IS_THERE, ["dog"]),
        ("wasn't there any music?", K.IS_THERE, ["music"]),
        ("Did anyone mention the tomatoes?", K.IS_THERE, ["tomatoes"]),
        ("Is it true that a cat was seen?", K.IS_THERE, ["cat"]),
        ("Which came first, the cat or the rocket?", K.ORDER, ["cat", "rocket"]),
        ("What was shown first: the coffee or the moon?", K.ORDER, ["coffee", "moon"]),
        ("Did the cat appear before the rocket?", K.ORDER, ["cat", "rocket"]),
        ("Was the cat shown before or after the rocket?", K.ORDER, ["cat", "rocket"]),
        ("How many people passed by?", K.HOW_MANY, ["people"]),
        ("how often was Boston mentioned", K.HOW_MANY, ["boston"]),
        ("Count the cars.", K.HOW_MANY, ["cars"]),
        ("How long was the cat visible?", K.DURATION, ["cat"]),
        ("How many seconds was the caption Welcome on screen?", K.DURATION, ["welcome"]),
        ("What happened?", K.SUMMARY, []),
        ("Please summarise the video", K.SUMMARY, []),
        ("What is this video about?", K.SUMMARY, []),
        ("What is happening now?", K.NOW, []),
        ("what's going on", K.NOW, []),
        ("What do you see right now?", K.NOW, []),
        ("Which animal was seen?", K.WHAT, ["animal"]),
    ],
)
def test_kind_and_cues(text, kind, cues):
    question = parse(text)
    assert question.kind is kind
    assert [cue.text for cue in question.cues] == cues


@pytest.mark.parametrize(
    ("text", "modalities"),
    [
        ("Did anyone say hello?", SPEECH),
        ("When was the garden mentioned?", SPEECH),
        ('When was the caption "Exit here" shown?', WRITING),
        ("what does the sign say", WRITING),
        ('Did the words "hello world" appear on screen?', WRITING),
        ("Was there any music?", SOUND),
        ("Did anyone say something about music?", SPEECH),
        ("Did you see a cat?", SEEN),
        ("Where does the train leave from?", ()),
    ],
)
def test_the_words_of_a_question_name_its_senses(text, modalities):
    question = parse(text)
    assert question.cue.modalities == modalities


def test_quoted_words_are_content_whatever_they_say():
    question = parse('When did she say "what happened between 0:30 and 1:00 before the cat"?')
    assert question.kind is K.WHEN
    assert question.cue.verbatim
    assert question.cue.text == "what happened between 0:30 and 1:00 before the cat"
    assert question.time is None
    assert question.anchor is None


@pytest.mark.parametrize(
    ("text", "relation", "cue", "modalities"),
    [
        ("What text was on screen while he said hello there?", "while", "hello", SPEECH),
        ("What was said after the cat appeared?", "after", "cat", SEEN),
        ("What was on screen just before the rocket was shown?", "before", "rocket", SEEN),
        ("While the motorcycle was on screen, what was said?", "while", "motorcycle", SEEN),
        ('What did you see when the caption "Exit" appeared?', "while", "exit", WRITING),
        ("what came after the rocket", "after", "rocket", ()),
    ],
)
def test_clauses_hang_on_another_moment(text, relation, cue, modalities):
    anchor = parse(text).anchor
    assert anchor is not None
    assert (anchor.relation, anchor.cue.text, anchor.cue.modalities) == (relation, cue, modalities)


def test_a_clause_may_be_content_so_the_whole_is_kept():
    question = parse("What should be watered before noon?")
    assert question.whole is not None
    assert "noon" in question.whole.text
    assert "watered" in question.whole.text


def test_names_and_numbers_are_what_a_cue_cannot_do_without():
    assert parse("Where does the train to Boston leave from?").cue.names == ("boston",)
    assert parse("When does gate 12 open?").cue.names == ("12",)
    assert parse("WHERE DOES THE TRAIN TO BOSTON LEAVE FROM").cue.names == ()


def test_order_keeps_each_sides_own_senses():
    first, second = parse('What came first: the caption "hello" or the cat?').cues
    assert first.modalities == WRITING
    assert second.modalities == ()


def test_words_only_questions_are_verbal():
    assert parse("What did she say about swimming?").is_verbal
    assert not parse("Who said hello?").is_verbal
    assert not parse("Did you see a cat?").is_verbal


def test_anyone_who_is_seen_is_a_person():
    question = parse("Is anyone on camera now?")
    assert question.cue.text == "person"
    assert question.cue.modalities == SEEN
    assert question.time is not None
    assert question.time.is_now


def test_quotes_without_a_sense_are_words():
    assert parse('When was "hello"?').cue.modalities == TEXT


@given(st.text(max_size=300))
@settings(max_examples=150, deadline=None)
def test_reading_never_fails(text):
    question = parse(text)
    assert question.text == text
    assert question.kind in K


@given(st.sampled_from(["When did the cat appear", "How many people passed by", "Did you see a rocket"]), st.data())
def test_case_and_punctuation_do_not_matter(text, data):
    plain = parse(text)
    noisy = "".join(ch.upper() if data.draw(st.booleans()) else ch for ch in text)
    noisy = (
        data.draw(st.sampled_from(["", " ", "  "])) + noisy + data.draw(st.sampled_from(["", "?", "??", " ?!", "."]))
    )
    other = parse(noisy)
    assert (other.kind, [c.text for c in other.cues]) == (plain.kind, [c.text for c in plain.cues])
