import io
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from reverie.perception.captures import Capture, cut_strips, group_lines, read_captures, within_budget
from reverie.perception.ocr import Line, PpOcr, is_readable
from reverie.perception.strokes import Area, likeness, text_map
from reverie.perception.writing import WritingConfig, WritingStage
from reverie.types import Frame, Modality, ns
from tests.perception.installed import STEP_S, captioned, clip, frames, pan, photo


@pytest.fixture(scope="module")
def reader():
    ocr = PpOcr()
    ocr.load()
    return ocr


def watch(stage, pictures, times_s=None):
    """All observations; on the way, that nothing starts before what `horizon` promised."""
    seen, promised_ns = [], 0
    times_s = times_s or [index * STEP_S for index in range(len(pictures))]

    def keep(outputs):
        for output in outputs:
            assert output.span.start_ns >= promised_ns
            seen.append(output)

    for seq, (image, time_s) in enumerate(zip(pictures, times_s, strict=True)):
        keep(stage.process([Frame(stream_id="s", seq=seq, pts_ns=ns(time_s), image=image)]))
        horizon_ns = stage.horizon("s")
        promised_ns = ns(time_s) if horizon_ns is None else min(horizon_ns, ns(time_s))
    keep(stage.flush("s"))
    assert [o.seq for o in seen] == list(range(len(seen)))
    assert all(o.modality is Modality.WRITING and 0.6 <= o.confidence <= 1 for o in seen)
    return seen


def joined(text):
    """Without its spaces: the recogniser drops one now and then."""
    return text.replace(" ", "")


def spans(seen):
    """Text to (start, end), parts of one text joined."""
    found = {}
    for o in seen:
        text = joined(o.text)
        start, end = found.get(text, (o.span.start_s, o.span.start_s))
        assert end == o.span.start_s, f"a hole in {o.text!r}"
        found[text] = (start, o.span.end_s)
    return found


def small(picture, width=480):
    image = Image.fromarray(picture)
    return np.array(image.resize((width, width * image.height // image.width)))


# --- where text may stand -----------------------------------------------------------------------


@pytest.mark.parametrize("size_px", [16, 22, 32, 48])
@pytest.mark.parametrize("name", ["astronaut.png", "china.jpg", "flower.jpg", "chelsea.png"])
def test_a_caption_is_seen_on_a_photograph(name, size_px):
    image = small(photo(name), 640)
    areas = text_map(captioned(image, "Meet me at gate 7", size_px)).areas
    place = Area(x0=0.45, y0=0.84, x1=0.55, y1=0.86)
    assert any(place.shared(area) > 0.5 for area in areas)


def test_strokes_tell_a_caption_from_none_and_from_another():
    pictures = [small(picture) for picture in clip("bikes.mp4")]
    place = Area(x0=0.3, y0=0.8, x1=0.7, y1=0.9)
    first = text_map(captioned(pictures[0], "Meet me at gate 7")).strokes
    for picture in pictures:
        assert likeness(first, text_map(captioned(picture, "Meet me at gate 7")).strokes, place) > 0.55
        assert likeness(first, text_map(captioned(picture, "Nobody was there")).strokes, place) < 0.35
        assert likeness(first, text_map(picture).strokes, place) < 0.35


# --- reading ------------------------------------------------------------------------------------


@given(st.permutations(range(5)))
def test_lines_are_joined_as_they_are_read(order):
    lines = [
        Line(text="It leaves", score=0.9, area=Area(x0=0.3, y0=0.80, x1=0.5, y1=0.84)),
        Line(text="at noon,", score=0.9, area=Area(x0=0.51, y0=0.801, x1=0.7, y1=0.84)),
        Line(text="or later.", score=0.6, area=Area(x0=0.35, y0=0.85, x1=0.6, y1=0.89)),
        Line(text="NEWS", score=0.7, area=Area(x0=0.05, y0=0.05, x1=0.2, y1=0.12)),
        Line(text="page 3", score=0.8, area=Area(x0=0.9, y0=0.85, x1=0.99, y1=0.89)),
    ]
    blocks = group_lines([lines[index] for index in order])
    assert {block.text: round(block.score, 4) for block in blocks} == {
        "It leaves at noon, or later.": 0.8,
        "NEWS": 0.7,
        "page 3": 0.8,
    }


def test_strips_of_several_pictures_are_read_in_one_and_put_back(reader):
    texts = {0.3: "Ask the porter", 0.8: "Platform nine"}
    captures = []
    for index, (y, text) in enumerate(texts.items()):
        image = captioned(small(photo("astronaut.png"), 400 + 80 * index), text, y=y)
        areas = (Area(x0=0.2, y0=y - 0.03, x1=0.8, y1=y + 0.03),)
        strips = cut_strips(image, areas)
        captures.append(
            Capture(pts_ns=0, floor_ns=0, areas=areas, strips=strips, strokes=text_map(image).strokes, thumbnail=b"")
        )
    for capture_lines, (y, text) in zip(read_captures(reader, captures), texts.items(), strict=True):
        (line,) = capture_lines
        assert line.text == text
        assert (line.area.y0 + line.area.y1) / 2 == pytest.approx(y, abs=0.02)
        assert (line.area.x0 + line.area.x1) / 2 == pytest.approx(0.5, abs=0.03)
    assert read_captures(reader, []) == []


spots = st.tuples(st.integers(0, 80), st.integers(2, 40), st.integers(0, 9))  # top row, height, for how long it stood


@given(st.lists(st.lists(spots, min_size=1, max_size=4, unique=True), min_size=1, max_size=5), st.integers(30, 300))
@settings(max_examples=60)
def test_what_stood_the_shortest_gives_way(groups, max_rows):
    image = np.arange(100, dtype=np.uint8)[:, None, None].repeat(20, 1).repeat(3, 2)
    captures, stood = [], {}
    for index, group in enumerate(groups):
        areas = tuple(Area(x0=0, y0=top / 100, x1=0.5, y1=min(100, top + high) / 100) for top, high, _ in group)
        areas = tuple(dict.fromkeys(areas))
        stood |= {(index, area): for_ns for area, (_, _, for_ns) in zip(areas, group, strict=False)}
        strips = cut_strips(image, areas)
        captures.append(
            Capture(
                pts_ns=index, floor_ns=0, areas=areas, strips=strips, strokes=np.zeros((2, 2), np.int8), thumbnail=b""
            )
        )
    kept, dropped = within_budget(captures, max_rows, lambda capture, area: stood[capture.pts_ns, area])
    left = [(capture.pts_ns, area) for capture in kept for area in capture.areas]
    assert len(left) + len(dropped) == len(stood)
    assert sum(capture.num_rows for capture in kept) <= max_rows or len(left) == 1
    gone = [stood[key] for key in stood if key not in left]
    assert not gone or max(gone) <= min(stood[key] for key in left)
    for capture in kept:
        assert capture.strips == () or all(
            (s.pixels[:, 0, 0] == np.arange(100)[s.top :][: len(s.pixels)]).all() for s in capture.strips
        )
        for area in capture.areas:
            assert any(
                s.top <= area.y0 * 100 + 1 and area.y1 * 100 - 1 <= s.top + len(s.pixels) for s in capture.strips
            )


@pytest.mark.parametrize(
    ("text", "score", "readable"),
    [
        ("EXIT", 0.85, True),
        ("14:35", 0.9, True),
        ("Platform nine", 0.65, True),
        ("Platform nine", 0.55, False),
        ("ap", 0.82, False),
        ("NO", 0.95, True),
        ("7", 0.99, False),
        ("...", 0.99, False),
        ("- = -", 0.99, False),
        ("|~a|_b*", 0.99, False),
        ("HHHHI", 0.99, False),
        ("$1000", 0.9, True),
        ("Mississippi", 0.9, True),
    ],
)
def test_what_is_worth_keeping(text, score, readable):
    assert is_readable(text, score, 0.6) == readable


# --- the stage ----------------------------------------------------------------------------------

CAPTIONS = {
    "Welcome to the city": (1.0, 4.0),
    "Where does the tram go?": (5.0, 7.5),
    "To the river, twice a day.": (8.0, 10.0),
    "Nobody has seen it lately": (10.0, 12.5),
    "Meet me at gate 7": (15.0, 18.0),
}


def subtitled(pictures):
    return [
        next((captioned(image, text) for text, (a, b) in CAPTIONS.items() if a <= index * STEP_S < b), image)
        for index, image in enumerate(pictures)
    ]


def test_subtitles_on_a_film_with_cuts_get_exact_spans(reader):
    stage = WritingStage(reader)
    seen = spans(watch(stage, subtitled(list(clip("bikes.mp4")) * 2)))
    for text, (start, end) in CAPTIONS.items():
        assert seen[joined(text)] == pytest.approx((start, end), abs=STEP_S + 0.01)
    assert len(seen) <= len(CAPTIONS) + 1  # a licence plate may be read too
    assert stage.counters.value("frames_read") <= 2 + 8 + 1  # twice by the clock, eight cuts, the end


def test_captions_that_come_faster_than_reading_is_allowed_are_not_lost(reader):
    stage = WritingStage(reader)
    ground = small(photo("flower.jpg"))
    texts = watch(stage, subtitled([ground] * 40))
    for kept in texts:
        picture = np.asarray(Image.open(io.BytesIO(kept.thumbnail))).astype(int)
        apart = {text: np.abs(picture - captioned(ground, text)).mean() for text in CAPTIONS}
        assert joined(min(apart, key=apart.get)) == joined(kept.text)
    seen = spans(texts)
    assert seen == {joined(text): pytest.approx(span, abs=0.01) for text, span in CAPTIONS.items()}
    assert stage.counters.value("frames_read") <= 3
    assert stage.counters.value("words_read") == pytest.approx(sum(len(text.split()) for text in CAPTIONS), abs=2)


@pytest.mark.parametrize("name", ["brick.png", "grass.png", "gravel.png", "chelsea.png", "china.jpg"])
def test_textures_hold_no_text_and_cost_little(reader, name):
    stage = WritingStage(reader)
    assert watch(stage, pan(name, 24, 0.1)) == []
    assert stage.counters.value("frames_read") <= 3


def test_a_picture_without_anything_like_text_is_never_read(reader):
    stage = WritingStage(reader)
    assert watch(stage, [np.full((180, 320, 3), 90, np.uint8)] * 30) == []
    assert stage.counters.value("frames_read") == 0


def test_a_text_that_stands_long_is_emitted_in_parts_that_touch(reader):
    ground = small(photo("coffee.png"))
    pictures = [ground] * 4 + [captioned(ground, "Closed on Sundays")] * 76 + [ground] * 2
    stage = WritingStage(reader)
    seen = watch(stage, pictures)
    assert [o.text for o in seen] == ["Closed on Sundays"] * 3
    assert spans(seen) == {"ClosedonSundays": (2.0, 40.0)}
    assert all(o.span.duration_ns <= ns(15) for o in seen)
    assert stage.counters.value("frames_read") <= 2


def test_pictures_that_the_gate_skipped_count_as_unchanged(reader):
    ground = small(photo("coffee.png"))
    text = captioned(ground, "Closed on Sundays")
    # seen at 2 s and, unchanged, not sent again until it is gone at 9.5 s; the same once more at 12 s for 1 s
    seen = watch(WritingStage(reader), [ground, text, ground, text, ground], [0, 2, 9.5, 12, 13])
    assert [(o.text, o.span.start_s, o.span.end_s) for o in seen] == [
        ("Closed on Sundays", 2.0, 9.5),
        ("Closed on Sundays", 12.0, 13.0),
    ]


def test_two_blocks_end_apart(reader):
    ground = small(photo("astronaut.png"))
    both = captioned(captioned(ground, "Evening news", y=0.1), "It will rain tomorrow", y=0.9)
    title = captioned(ground, "Evening news", y=0.1)
    seen = spans(watch(WritingStage(reader), [title] * 4 + [both] * 6 + [title] * 2 + [ground] * 2))
    assert seen == {"Eveningnews": (0.0, 6.0), "Itwillraintomorrow": (2.0, 5.0)}


def test_the_same_caption_twice_is_read_twice(reader):
    ground = small(photo("astronaut.png"))
    text = captioned(ground, "Mind the gap")
    seen = watch(WritingStage(reader), [ground] * 2 + [text] * 4 + [ground] * 20 + [text] * 4 + [ground] * 2)
    assert [(o.span.start_s, o.span.end_s) for o in seen] == [(1.0, 3.0), (13.0, 15.0)]


@pytest.mark.slow
@pytest.mark.parametrize("stop", [3, 13, 22])
def test_a_snapshot_goes_on_alike(reader, stop):
    pictures = list(frames(subtitled([small(picture) for picture in clip("bikes.mp4") * 2])))
    stage = WritingStage(reader)
    whole = [*stage.process(pictures), *stage.flush("s")]
    before, after = WritingStage(reader), WritingStage(reader)
    first = list(before.process(pictures[:stop]))
    kept = before.snapshot("s")
    list(before.process(pictures[stop:]))  # what goes on must not touch the snapshot
    after.restore("s", pickle.loads(pickle.dumps(kept)))
    assert [*first, *after.process(pictures[stop:]), *after.flush("s")] == whole
    assert len(pickle.dumps(kept)) < 8e6
    after.restore("s", None)
    assert after.snapshot("s") is None
    assert after.horizon("s") is None


def test_a_live_picture_that_stands_still_is_read_by_the_clock(reader):
    ground = small(photo("astronaut.png"))
    stage = WritingStage(reader, WritingConfig(min_interval_s=10))
    text = captioned(ground, "Mind the gap")
    list(stage.process(list(frames([captioned(ground, "Door one"), ground, ground, text]))))
    waiting_since = stage.horizon("s")
    assert waiting_since is not None
    assert list(stage.tick(ns(100))) == list(stage.tick(ns(105))) == []
    assert stage.counters.value("frames_read") == 1
    list(stage.tick(ns(111)))
    assert stage.counters.value("frames_read") == 2
    (seen,) = stage.flush("s")
    assert (seen.text, seen.span.start_s) == ("Mind the gap", 1.5)


def test_pictures_may_be_of_any_size_and_change_it(reader):
    rng = np.random.default_rng(0)
    sizes = [(1, 1), (2, 300), (300, 2), (9, 9), (180, 320), (320, 180)] * 2
    stage = WritingStage(reader)
    assert watch(stage, [rng.integers(0, 255, (*size, 3), dtype=np.uint8) for size in sizes]) == []


def test_streams_do_not_mix(reader):
    ground = small(photo("coffee.png"))
    stage = WritingStage(reader)
    for index in range(4):
        for name, text in (("a", "First door"), ("b", "Second door")):
            frame = Frame(stream_id=name, seq=index, pts_ns=ns(index / 2), image=captioned(ground, text))
            assert list(stage.process([frame])) == []
    assert [o.text for o in stage.flush("a")] == ["First door"]
    assert [(o.stream_id, o.text) for o in stage.flush("b")] == [("b", "Second door")]
    assert list(stage.flush("a")) == []
