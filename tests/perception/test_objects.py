import io
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from reverie.perception.detector import COCO_NAMES, Detection, Ssd, iou
from reverie.perception.objects import ObjectsStage
from reverie.perception.tracking import BoxTracker, TrackingConfig, box_distance
from reverie.types import Modality, ns
from tests.perception.installed import clip, frames, photo


def thing(x, y, name="car", size=0.2, score=0.8):
    half = size / 2
    return Detection(name=name, score=score, x0=x - half, y0=y - half, x1=x + half, y1=y + half)


def follow(pictures, tracker=None, first=0):
    """Tracks per picture, of detections per picture, two a second."""
    tracker = tracker or BoxTracker()
    return [tracker.update(ns(0.5) * (first + index), found).boxes for index, found in enumerate(pictures)]


# --- tracking -----------------------------------------------------------------------------------


@given(
    st.floats(-0.12, 0.12), st.floats(-0.12, 0.12), st.floats(0.05, 0.3), st.lists(st.floats(-0.01, 0.01), max_size=8)
)
@settings(max_examples=60, deadline=None)
def test_one_thing_that_moves_is_one_track(dx, dy, size, jitter):
    # up to its own size from one picture to the next, with some jitter of the detector
    dx, dy = (max(-size, min(size, step)) / 1.5 for step in (dx, dy))
    wobble = [*jitter, *([0.0] * 8)][:8]
    path = [[thing(0.5 + dx * i + wobble[i] * size, 0.5 + dy * i, size=size)] for i in range(8)]
    seen = follow(path)
    assert {box.track_id for boxes in seen for box in boxes} == {1}
    assert not seen[0]
    assert all(len(boxes) == 1 for boxes in seen[1:])
    assert all(box.since_ns == 0 for boxes in seen for box in boxes)


def test_two_that_pass_each_other_keep_their_numbers():
    path = [[thing(0.1 + 0.1 * i, 0.4), thing(0.9 - 0.1 * i, 0.62)] for i in range(9)]
    seen = follow(path)
    left, right = (
        [next(box.track_id for box in boxes if abs(box.y0 - y) < 0.01) for boxes in seen[1:]] for y in (0.3, 0.52)
    )
    assert (set(left), set(right)) in (({1}, {2}), ({2}, {1}))


def test_names_are_never_mixed():
    seen = follow(
        [[thing(0.5, 0.5, "cat")], [thing(0.5, 0.5, "cat")], [thing(0.5, 0.5, "dog")], [thing(0.5, 0.5, "dog")]]
    )
    assert [(box.track_id, box.name) for boxes in seen for box in boxes] == [(1, "cat"), (2, "dog")]


def test_a_thing_that_is_missed_for_two_seconds_is_the_same_one():
    here = [thing(0.5, 0.5)]
    seen = follow([here, here, [], [], [], [], here])
    assert [len(boxes) for boxes in seen] == [0, 1, 0, 0, 0, 0, 1]
    assert seen[-1][0].track_id == 1


def test_one_that_comes_back_later_is_another():
    here = [thing(0.5, 0.5)]
    seen = follow([here, here, *([[]] * 8), here, here])
    assert [box.track_id for boxes in seen for box in boxes] == [1, 2]
    assert seen[-1][0].since_ns == ns(5)


def test_a_single_detection_is_not_reported():
    assert follow([[thing(0.5, 0.5)], [], [], []]) == [(), (), (), ()]


def test_a_weak_detection_continues_a_track_but_starts_none():
    strong, weak = thing(0.5, 0.5, score=0.9), thing(0.5, 0.5, score=0.4)
    assert follow([[weak]] * 4) == [()] * 4
    assert [len(boxes) for boxes in follow([[strong], [weak], [weak], [weak]])] == [0, 1, 1, 1]


def test_after_a_cut_numbers_go_on_with_new_tracks():
    tracker = BoxTracker()
    here = [thing(0.5, 0.5)]
    follow([here, here], tracker)
    tracker.end_all()
    seen = follow([here, here], tracker, first=2)
    assert [box.track_id for boxes in seen for box in boxes] == [2]


@given(st.integers(0, 9))
@settings(max_examples=10, deadline=None)
def test_a_pickled_tracker_goes_on_alike(stop):
    rng = np.random.default_rng(3)
    path = [
        [thing(*rng.uniform(0.2, 0.8, 2), name=name, score=rng.uniform(0.35, 1)) for name in ("car", "cat", "car")]
        for _ in range(10)
    ]
    whole = follow(path)
    tracker = BoxTracker(TrackingConfig())
    before = follow(path[:stop], tracker)
    after = follow(path[stop:], BoxTracker.from_state(tracker.state()), first=stop)
    assert before + after == whole


@given(st.lists(st.tuples(*[st.floats(0, 1)] * 4), min_size=1, max_size=5))
@settings(max_examples=50, deadline=None)
def test_box_distance_is_a_distance(corners):
    boxes = np.array([[min(a, c), min(b, d), max(a, c) + 0.01, max(b, d) + 0.01] for a, b, c, d in corners])
    distances = box_distance(boxes, boxes)
    assert distances.shape == (len(boxes), len(boxes))
    np.testing.assert_allclose(distances, distances.T, atol=1e-9)
    np.testing.assert_allclose(np.diag(distances), 0, atol=1e-6)
    assert distances.min() >= 0
    assert distances.max() <= 1


# --- detector -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def ssd():
    detector = Ssd()
    detector.load()
    return detector


def test_coco_has_eighty_names():
    assert len(COCO_NAMES) == 91
    assert len({name for name in COCO_NAMES if name != "-"}) == 80
    assert (COCO_NAMES[1], COCO_NAMES[17], COCO_NAMES[90]) == ("person", "cat", "toothbrush")


@pytest.mark.parametrize(
    ("name", "thing_in_it"),
    [("astronaut.png", "person"), ("chelsea.png", "cat"), ("coffee.png", "cup"), ("motorcycle_left.png", "motorcycle")],
)
def test_the_main_thing_of_a_photograph(ssd, name, thing_in_it):
    (found,) = ssd.detect([photo(name)])
    assert any(one.name == thing_in_it and one.score > 0.6 for one in found)
    assert all(0 <= one.x0 < one.x1 <= 1 and 0 <= one.y0 < one.y1 <= 1 for one in found)
    assert [one.score for one in found] == sorted((one.score for one in found), reverse=True)


@pytest.mark.parametrize("name", ["brick.png", "grass.png", "gravel.png", "china.jpg"])
def test_nothing_in_textures_and_buildings(ssd, name):
    assert not any(one.score >= 0.5 for one in ssd.detect([photo(name)])[0])


@pytest.mark.parametrize("shape", [(300, 640), (480, 200)])
def test_boxes_of_wide_and_tall_pictures_lie_where_the_thing_is(ssd, shape):
    canvas = np.full((*shape, 3), 110, np.uint8)
    cat = np.array(Image.fromarray(photo("chelsea.png")).resize((190, 150)))
    top, left = shape[0] - 160, shape[1] - 195
    canvas[top : top + 150, left : left + 190] = cat
    (found,) = ssd.detect([canvas])
    truth = Detection(
        name="cat",
        score=1,
        x0=left / shape[1],
        y0=top / shape[0],
        x1=(left + 190) / shape[1],
        y1=(top + 150) / shape[0],
    )
    assert max(iou(one, truth) for one in found if one.name == "cat") > 0.6


# --- the stage ----------------------------------------------------------------------------------


def passing(count=8):
    """A cat carried over gravel from left to right, after two pictures of gravel alone and before two more."""
    ground = np.array(Image.fromarray(photo("gravel.png")).resize((640, 640)))[:360]
    cat = np.array(Image.fromarray(photo("chelsea.png")).resize((270, 180)))
    pictures = [ground, ground]
    for index in range(count):
        picture, left = ground.copy(), 20 + index * 45
        picture[100:280, left : left + 270] = cat
        pictures.append(picture)
    return [*pictures, ground, ground]


@pytest.fixture(scope="module")
def watched(ssd):
    stage = ObjectsStage(ssd)
    return list(stage.process(list(frames(passing())))), stage.counters.drain()


def test_one_cat_that_passes_is_one_track(watched):
    seen, counted = watched
    boxes = [box for o in seen for box in o.boxes if box.name == "cat"]
    assert {box.track_id for box in boxes} == {boxes[0].track_id}
    assert len(boxes) >= 6
    assert boxes[0].since_ns in (ns(1), ns(1.5))
    middles = [(box.x0 + box.x1) / 2 for box in boxes]
    assert middles == sorted(middles)
    assert counted["frames_detected"] == len(seen) == 12
    assert counted["tracks"] == len({box.track_id for o in seen for box in o.boxes})


def test_every_frame_is_reported_and_only_a_new_track_has_a_picture(watched):
    seen, _ = watched
    assert [o.seq for o in seen] == list(range(12))
    assert all(o.modality is Modality.OBJECTS for o in seen)
    assert seen[0].boxes == seen[-1].boxes == ()
    known = set()
    for o in seen:
        new = {box.track_id for box in o.boxes} - known
        assert (o.thumbnail is not None) == bool(new)
        assert {label.name for label in o.labels} == {box.name for box in o.boxes}
        known |= new
    pictured = next(o for o in seen if o.thumbnail)
    assert max(Image.open(io.BytesIO(pictured.thumbnail)).size) == 480


@pytest.mark.slow
def test_a_snapshot_goes_on_alike(ssd, watched):
    pictures = list(frames(passing()))
    whole, _ = watched
    for stop in (3, 6):
        before, after = ObjectsStage(ssd), ObjectsStage(ssd)
        assert list(before.process(pictures[:stop])) == whole[:stop]
        after.restore("s", pickle.loads(pickle.dumps(before.snapshot("s"))))
        assert list(after.process(pictures[stop:])) == whole[stop:]
        assert list(before.flush("s")) == []
        assert before.snapshot("s") is None


@pytest.mark.slow
def test_a_street_film_has_people_cars_and_bicycles_that_end_at_its_cuts(ssd):
    seen = list(ObjectsStage(ssd).process(list(frames(clip("bikes.mp4")))))
    names = {box.track_id: box.name for o in seen for box in o.boxes}
    assert {"person", "car"} <= set(names.values())
    for cut in (3, 7, 11, 15):
        before = {box.track_id for o in seen[:cut] for box in o.boxes}
        assert before.isdisjoint(box.track_id for o in seen[cut:] for box in o.boxes)
