import pytest

from reverie.serve.witness import MAX_LINES, MAX_PICTURES, Witness, alike
from reverie.types import Box, Modality, Observation, TimeSpan, Watermark, ns
from tests.serve.pictures import half, plain

BOX = Box(track_id=1, name="cat", score=0.8, x0=0, y0=0, x1=1, y1=1, since_ns=0)


def objects(at_s, boxes=(BOX,)):
    span = TimeSpan(start_ns=ns(at_s), end_ns=ns(at_s + 0.5))
    return Observation(stream_id="s", seq=int(at_s * 2), span=span, modality=Modality.OBJECTS, boxes=tuple(boxes))


def text(modality, start_s, end_s, words):
    span = TimeSpan(start_ns=ns(start_s), end_ns=ns(end_s))
    return Observation(stream_id="s", seq=0, span=span, modality=modality, text=words)


def test_nothing_is_shown_before_a_picture_came():
    witness = Witness(live=True)
    witness.perceive([objects(0), Watermark(stream_id="s", pts_ns=0)])
    assert witness.newest() is None


def test_boxes_are_shown_on_their_own_frame():
    witness = Witness(live=True)
    for at_s in (0, 0.5, 1, 1.5):
        witness.keep_picture(ns(at_s), plain(int(100 + 10 * at_s)))
    assert witness.newest().boxes == ()
    witness.perceive([objects(0.5)])
    seen = witness.newest()
    assert (seen.pts_ns, seen.jpeg, seen.boxes) == (ns(0.5), plain(105), (BOX,))


def test_a_still_scene_keeps_its_boxes():
    witness = Witness(live=True)
    witness.keep_picture(0, plain(100))
    witness.perceive([objects(0)])
    witness.keep_picture(ns(8), plain(101))
    seen = witness.newest()
    assert (seen.pts_ns, seen.boxes) == (ns(8), (BOX,))


def test_boxes_of_another_scene_are_not_drawn():
    witness = Witness(live=True)
    witness.keep_picture(0, plain(100))
    witness.perceive([objects(0)])
    witness.keep_picture(ns(8), half())
    seen = witness.newest()
    assert (seen.pts_ns, seen.boxes) == (ns(8), ())


def test_of_a_file_the_thumbnails_are_shown_of_a_camera_its_own_pictures():
    vision = Observation(
        stream_id="s", seq=0, span=TimeSpan(start_ns=0, end_ns=1), modality=Modality.VISION, thumbnail=plain()
    )
    file, camera = Witness(live=False), Witness(live=True)
    file.perceive([vision])
    camera.perceive([vision])
    assert file.newest().jpeg == plain()
    assert camera.newest() is None


def test_a_change_of_the_boxes_changes_the_key():
    witness = Witness(live=True)
    witness.keep_picture(0, plain())
    before = witness.newest().key
    witness.perceive([objects(0)])
    assert witness.newest().key != before


def test_lines_come_in_the_order_of_time():
    witness = Witness(live=True)
    witness.perceive([text(Modality.SPEECH, 4, 5, "second"), text(Modality.WRITING, 1, 2, "first")])
    witness.perceive([text(Modality.SPEECH, 6, 7, "  "), text(Modality.SOUND, 6, 7, "music")])
    assert [line.text for line in witness.lines()] == ["first", "second"]


def test_a_text_that_stands_is_one_line_and_one_that_returns_is_two():
    witness = Witness(live=True)
    for start_s in (0, 15, 30, 60):
        witness.perceive([text(Modality.WRITING, start_s, start_s + 15, "EXIT")])
    assert [(line.span.start_s, line.span.end_s) for line in witness.lines()] == [(0, 45), (60, 75)]


def test_the_same_sentence_said_twice_is_two_lines():
    witness = Witness(live=True)
    witness.perceive([text(Modality.SPEECH, 0, 1, "yes"), text(Modality.SPEECH, 1, 2, "yes")])
    assert len(witness.lines()) == 2


def test_it_stays_bounded():
    witness = Witness(live=True)
    for number in range(3 * MAX_LINES):
        witness.keep_picture(ns(number), plain(size=(16, 16)))
        witness.perceive([objects(number), text(Modality.SPEECH, number, number + 0.5, str(number))])
    assert len(witness._pictures) == len(witness._boxes) == MAX_PICTURES
    assert [line.text for line in witness.lines()][-1] == str(3 * MAX_LINES - 1)
    assert len(witness.lines()) == MAX_LINES


@pytest.mark.parametrize(("other", "same"), [(plain(121), True), (plain(160), False), (half(), False)])
def test_alike(other, same):
    assert alike(plain(120), other) is same
