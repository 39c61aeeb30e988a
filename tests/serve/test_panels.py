from html.parser import HTMLParser

from hypothesis import given
from hypothesis import strategies as st

from reverie.serve.live import Phase, View
from reverie.serve.panels import (
    MAX_CARDS,
    events_panel,
    evidence_panel,
    picture_panel,
    picture_url,
    problem_note,
    status_panel,
    transcript_panel,
)
from reverie.serve.witness import Line
from reverie.types import Answer, Box, Citation, Event, Label, Modality, TimeSpan, ns


class Tags(HTMLParser):
    """Every element with its attributes, and all text."""

    def __init__(self, html):
        super().__init__()
        self.elements, self.text = [], ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))

    def handle_data(self, data):
        self.text += data


JPEG = "data:image/jpeg;base64,/9g="


def span(start_s, end_s):
    return TimeSpan(start_ns=ns(start_s), end_ns=ns(end_s))


def citation(text="a sign", thumbnail="pictures/ab/abc.jpg", start_s=65.0, modality=Modality.WRITING, stream_id="s"):
    return Citation(
        stream_id=stream_id,
        span=span(start_s, start_s + 3),
        modality=modality,
        text=text,
        thumbnail=thumbnail,
        score=0.9,
    )


def answer(*citations):
    return Answer(text="It is.", citations=citations, confidence=0.9, abstained=not citations)


def event(text="", labels=(), thumbnail=None, open=False, stream_id="s"):
    return Event(
        event_id=1, stream_id=stream_id, span=span(61, 75), text=text, labels=labels, thumbnail=thumbnail, open=open
    )


@given(st.text(min_size=1, max_size=60).filter(lambda text: not text.isspace()))
def test_whatever_is_heard_read_or_named_adds_no_element(words):
    made = [
        (transcript_panel, lambda text: (Line(span=span(0, 1), modality=Modality.SPEECH, text=text),)),
        (events_panel, lambda text: (event(text=text, labels=(Label(name=text, score=1.0),)),)),
        (problem_note, lambda text: text),
        (status_panel, lambda text: View(phase=Phase.FAILED, stream_id=text, problem=text)),
    ]
    for panel, given_text in made:
        hostile, plain = Tags(panel(given_text(words + "<img src=x onerror=y>\"'"))), Tags(panel(given_text("plain")))
        assert [tag for tag, _ in hostile.elements] == [tag for tag, _ in plain.elements]


@given(st.text(min_size=1, max_size=60))
def test_evidence_cannot_break_out_of_its_card(words):
    words += "\"'><script>alert(1)</script>"
    panel = Tags(evidence_panel(words, answer(citation(text=words, thumbnail=words, stream_id=words))))
    assert [tag for tag, _ in panel.elements].count("script") == 0
    images = [attributes["src"] for tag, attributes in panel.elements if tag == "img"]
    assert len(images) == 1
    assert images[0].startswith("/live/pictures/")
    assert not set(images[0]) & set("\"'<> ")


def test_a_card_shows_time_sense_quote_and_picture():
    panel = Tags(evidence_panel("What was written?", answer(citation())))
    assert ("img", {"alt": "key frame at 1:05–1:08", "src": "/live/pictures/pictures/ab/abc.jpg"}) in panel.elements
    assert "1:05–1:08" in panel.text
    assert "read“a sign”" in panel.text
    card = next(attributes for tag, attributes in panel.elements if tag == "figure")
    assert (card["data-start-s"], card["data-end-s"], card["data-stream"]) == ("65.000", "68.000", "s")


def test_a_sound_without_a_picture_has_a_card_too():
    panel = evidence_panel("?", answer(citation(thumbnail=None, modality=Modality.SPEECH)))
    assert "<img" not in panel
    assert "sound only" in panel


def test_only_the_best_citations_are_shown():
    panel = evidence_panel("?", answer(*(citation(start_s=10.0 * number) for number in range(20))))
    assert panel.count("<figure") == MAX_CARDS
    assert "0:00–0:03" in panel


def test_an_answer_without_evidence_says_so():
    assert "No evidence" in evidence_panel("Was there a whale?", answer())


def test_events_are_newest_first_and_the_open_one_is_marked():
    closed, going_on = event(text="old"), event(text="new", open=True)
    panel = events_panel([closed, going_on])
    assert panel.index("new") < panel.index("old")
    assert "1:01–now" in panel
    assert "1:01–1:15" in panel


def test_things_are_named_before_colours_and_once():
    labels = (
        Label(name="grey", score=0.99, kind="colour"),
        Label(name="dog", score=0.7),
        Label(name="cat", score=0.9),
        Label(name="dog", score=0.6),
    )
    assert "cat, dog, grey" in events_panel([event(labels=labels)])


def test_the_transcript_is_newest_first():
    lines = [Line(span=span(at_s, at_s + 1), modality=Modality.SPEECH, text=f"line {at_s}") for at_s in (1, 70)]
    panel = Tags(transcript_panel(lines))
    assert panel.text.index("line 70") < panel.text.index("line 1")
    assert "1:10" in panel.text


def test_the_picture_is_part_of_the_page():
    box = Box(track_id=3, name='"><b>cat', score=0.8, x0=0, y0=0, x1=1, y1=1, since_ns=0)
    panel = picture_panel(View(phase=Phase.WATCHING, picture=b"\xff\xd8", seen_ns=ns(61), boxes=(box,)))
    assert ("img", {"alt": 'the picture at 1:01: "><b>cat 3', "decoding": "sync", "src": JPEG}) in Tags(panel).elements
    assert "1:01" in panel


def test_every_phase_has_words_without_a_picture():
    shown = {phase: Tags(picture_panel(View(phase=phase))).text for phase in Phase}
    assert all(shown.values())
    assert shown[Phase.IDLE] != shown[Phase.STARTING] != shown[Phase.WATCHING]


def test_addresses_of_pictures_are_quoted():
    assert picture_url("pictures/a b?.jpg") == "/live/pictures/pictures/a%20b%3F.jpg"
