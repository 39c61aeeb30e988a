"""Questions against a real memory on disk: what was written through `Memory.write` is what answers cite."""

import pytest

from reverie.clock import ManualClock
from reverie.memory.memory import Memory
from reverie.reasoning import Reasoner, ReasonerConfig, Retriever
from reverie.types import (
    Box,
    EndOfStream,
    Item,
    Label,
    Modality,
    Observation,
    StreamStart,
    TimeSpan,
    Watermark,
    ns,
)
from tests.reasoning.fakes import SENSES, BagOfWords, span

STREAM = "walk"


def _observation(seq: int, at: TimeSpan, modality: Modality, text: str) -> Observation:
    return Observation(stream_id=STREAM, seq=seq, span=at, modality=modality, text=text)


def _pictures(name: str, score: float, start_s: float, end_s: float) -> list[Observation]:
    """Half-second pictures of one class, with the vector that its name has."""
    vector = BagOfWords().encode([name])[0]
    return [
        Observation(
            stream_id=STREAM, seq=half, span=span(half / 2, half / 2 + 0.5), modality=Modality.VISION,
            embedding=vector, encoder=BagOfWords.encoder_id,
            labels=(Label(name=name, score=score), Label(name="brown", score=0.7, kind="colour")),
            starts_shot=half == round(start_s * 2),
        )
        for half in range(round(start_s * 2), round(end_s * 2))
    ]  # fmt: skip


def _nothing_seen(after_s: float) -> Observation:
    """A frame without tracked things: what was there has left."""
    at = span(after_s, after_s + 0.5)
    return Observation(stream_id=STREAM, seq=round(after_s * 2), span=at, modality=Modality.OBJECTS)


def _boxes(name: str, track_id: int, start_s: float, end_s: float, x: float) -> list[Observation]:
    box = Box(
        track_id=track_id, name=name, score=0.9, x0=x, y0=0.4, x1=x + 0.2, y1=0.6, since_ns=ns(start_s)
    )  # fmt: skip
    return [
        Observation(
            stream_id=STREAM, seq=half, span=span(half / 2, half / 2 + 0.5), modality=Modality.OBJECTS,
            labels=(Label(name=name, score=0.9),), boxes=(box,),
        )
        for half in range(round(start_s * 2), round(end_s * 2))
    ]  # fmt: skip


def _walk() -> list[Item]:
    seen = [
        *_pictures("tabby", 0.6, 0, 20),
        *_pictures("missile", 0.7, 20, 28),
        *_pictures("palace", 0.6, 28, 60),
        *_boxes("cat", 1, 2, 9, 0.0),
        *_boxes("person", 2, 41, 45, 0.4),
        *_boxes("person", 3, 50, 55, 0.7),
        *(_nothing_seen(end_s) for end_s in (9, 45, 55)),
        _observation(1, span(12, 15), Modality.SPEECH, "The train to Boston leaves from platform seven."),
        _observation(2, span(30, 33), Modality.SPEECH, "Please water the tomatoes before noon."),
        _observation(3, span(31, 37), Modality.WRITING, "WELCOME TO THE GARDEN"),
        _observation(4, span(46, 52), Modality.SOUND, "music"),
    ]
    start = StreamStart(stream_id=STREAM, uri="walk.mp4", live=False, has_video=True, has_audio=True)
    ordered = sorted(seen, key=lambda o: (o.span.start_ns, o.modality, o.seq))
    return [start, *ordered, Watermark(stream_id=STREAM, pts_ns=ns(60)), EndOfStream(stream_id=STREAM, pts_ns=ns(60))]


@pytest.fixture(scope="module")
def reasoner(tmp_path_factory) -> Reasoner:
    folder = tmp_path_factory.mktemp("walk")
    with Memory.open(folder, text_encoder=BagOfWords(), mode="w") as memory:
        memory.write(_walk())
    retriever: Retriever = Memory.open(folder, text_encoder=BagOfWords())
    return Reasoner(retriever, SENSES)


@pytest.mark.parametrize(
    ("question", "modality", "start_s", "end_s", "says"),
    [
        ("When did the cat appear?", Modality.OBJECTS, 2, 9, "0:02"),
        ("Where was the cat?", Modality.OBJECTS, 2, 9, "left"),
        ("Did you see a rocket?", Modality.VISION, 20, 28, "missile"),
        ("Where does the train to Boston leave from?", Modality.SPEECH, 12, 15, "platform seven"),
        ("What text was on screen while she talked about the tomatoes?", Modality.WRITING, 31, 37, "GARDEN"),
        ("What was said after the rocket?", Modality.SPEECH, 30, 33, "tomatoes"),
        ("Which came first, the rocket or the cat?", Modality.OBJECTS, 2, 9, "“cat” came first"),
        ("How many people passed by?", Modality.OBJECTS, 41, 45, "2 people"),
        ("How long did the music play?", Modality.SOUND, 46, 52, "6 seconds"),
        ("What happened between 0:30 and 0:38?", Modality.SPEECH, 30, 33, "tomatoes"),
        ("What do you see right now?", Modality.VISION, 55, 60, "palace"),
        ("What was the dominant colour of the picture at 0:24?", Modality.VISION, 23, 25, "brown"),
    ],
)
def test_answers_cite_what_was_written(reasoner, question, modality, start_s, end_s, says):
    answer = reasoner.ask(question)
    assert not answer.abstained, answer.text
    assert says in answer.text
    cited = {citation.modality: citation.span for citation in reversed(answer.citations)}
    assert modality in cited
    assert cited[modality].iou(span(start_s, end_s)) >= 0.5


@pytest.mark.parametrize(
    "question",
    ["Is there an elephant?", "When was Chicago mentioned?", "What happened at 9:00?", "What is the man doing?",
     "How many dogs were there?"],
)  # fmt: skip
def test_abstains_on_what_was_never_written(reasoner, question):
    answer = reasoner.ask(question)
    assert answer.abstained, answer.text
    assert answer.citations == ()


def test_calendar_time_is_asked_of_each_stream(tmp_path):
    """Two streams of one memory, heard on 1 and on 2 January 2026, asked on the 2nd at noon."""
    day_ns, new_year_ns = 86_400 * 10**9, 1_767_225_600 * 10**9
    with Memory.open(tmp_path, text_encoder=BagOfWords(), mode="w") as memory:
        for number, text in enumerate(("The train leaves from platform seven.", "The train was cancelled.")):
            name, anchor_ns = f"day {number + 1}", new_year_ns + number * day_ns + 9 * 3600 * 10**9
            memory.write([
                StreamStart(
                    stream_id=name, uri="", live=True, has_video=False, has_audio=True, wall_anchor_ns=anchor_ns
                ),
                Observation(stream_id=name, seq=0, span=span(60, 64), modality=Modality.SPEECH, text=text),
                Watermark(stream_id=name, pts_ns=ns(600)),
            ])  # fmt: skip
        clock = ManualClock(wall_ns=new_year_ns + day_ns + day_ns // 2)
        reasoner = Reasoner(memory, SENSES, ReasonerConfig(timezone="UTC"), clock=clock)
        for question, stream in (
            ("What was said about the train yesterday?", "day 1"),
            ("What was said about the train this morning?", "day 2"),
            ("What was said about the train on 1 January between 9:00 and 9:05 am?", "day 1"),
        ):
            answer = reasoner.ask(question)
            assert [citation.stream_id for citation in answer.citations] == [stream], answer.text
        assert reasoner.ask("What was said about the train on 31 December?").abstained


def test_a_taught_sound_is_counted_though_no_word_names_it(tmp_path):
    bell = BagOfWords().encode(["bell"])[0]
    heard = [
        Observation(
            stream_id=STREAM, seq=at_s, span=span(at_s, at_s + 1), modality=Modality.SOUND, text="sound",
            embedding=bell, encoder="prints",
        )
        for at_s in (10, 40)
    ]  # fmt: skip
    start = StreamStart(stream_id=STREAM, uri="", live=False, has_video=False, has_audio=True)
    spoken = _observation(0, span(20, 22), Modality.SPEECH, "The train leaves.")
    with Memory.open(tmp_path, text_encoder=BagOfWords(), mode="w") as memory:
        memory.write([start, *heard, spoken, Watermark(stream_id=STREAM, pts_ns=ns(60))])
        memory.teach("Gong", sounds=[bell], encoder="prints")
        reasoner = Reasoner(memory, SENSES)
        answer = reasoner.ask("How often was Gong heard?")
        assert answer.text.startswith("2 times"), answer.text
        assert [citation.span.start_s for citation in answer.citations] == [10, 40]
        assert reasoner.ask("How often was the train heard?").text.startswith("Once, in 1 passage")
