"""Merging: whatever order the inputs come in, the stream comes out in one order, and cuts come out aligned."""

from hypothesis import given
from hypothesis import strategies as st

from reverie.pipeline.merge import OrderedMerge, position
from reverie.types import Cut, EndOfStream, Gap, Modality, Observation, TimeSpan, Watermark


def seen(pts_ns, seq=0, modality=Modality.VISION, stream_id="s"):
    span = TimeSpan(start_ns=pts_ns, end_ns=pts_ns + 1)
    return Observation(stream_id=stream_id, seq=seq, span=span, modality=modality)


def mark(pts_ns, stream_id="s"):
    return Watermark(stream_id=stream_id, pts_ns=pts_ns)


def test_nothing_is_released_before_the_slowest_input_allows_it():
    merge = OrderedMerge({"a": None, "b": None})
    assert merge.push("a", [seen(1), seen(5), mark(10)]) == []
    assert merge.push("b", [seen(3, modality=Modality.SPEECH), mark(4)]) == [
        seen(1),
        seen(3, modality=Modality.SPEECH),
        mark(4),
    ]
    assert merge.push("b", [mark(20)]) == [seen(5), mark(10)]


def test_a_private_input_is_not_waited_for_by_other_streams():
    merge = OrderedMerge({"source:a": "a", "source:b": "b", "vision": None})
    assert merge.push("vision", [seen(1, stream_id="a"), mark(2, "a")]) == []
    assert merge.push("source:a", [mark(3, "a")]) == [seen(1, stream_id="a"), mark(2, "a")]


def test_a_cut_waits_for_what_came_before_it_on_any_input():
    cut = Cut(stream_id="s", index=1, pts_ns=10)
    merge = OrderedMerge({"a": None, "b": None})
    assert merge.push("a", [seen(8), mark(10), cut]) == []
    # b holds back what it began at 6: the cut has come in on both inputs, but not all before it is out.
    assert merge.push("b", [mark(6), cut]) == [mark(6)]
    assert merge.push("b", [seen(6, modality=Modality.SPEECH), mark(12)]) == [
        seen(6, modality=Modality.SPEECH),
        seen(8),
        mark(10),
        cut,
    ]


def test_a_gap_noticed_late_is_still_recorded():
    gap = Gap(stream_id="s", span=TimeSpan(start_ns=1, end_ns=2), reason="lost")
    merge = OrderedMerge({"a": None})
    merge.push("a", [mark(100)])
    assert merge.push("a", [gap]) == [gap]


def test_the_end_comes_when_every_input_has_ended():
    merge = OrderedMerge({"a": None, "b": None})
    assert merge.push("a", [seen(7), EndOfStream(stream_id="s", pts_ns=9)]) == []
    assert merge.push("b", [EndOfStream(stream_id="s", pts_ns=8)]) == [seen(7), EndOfStream(stream_id="s", pts_ns=9)]
    assert merge.num_waiting() == 0


MODALITIES = list(Modality)[:3]
INPUT = st.lists(st.tuples(st.integers(0, 50), st.integers(0, 3)), max_size=12)


@given(st.lists(INPUT, min_size=3, max_size=3), st.lists(st.integers(0, 2), max_size=60))
def test_the_order_does_not_depend_on_who_was_quicker(inputs, turns):
    queues = {}
    everything = []
    for modality, rows in zip(MODALITIES, inputs, strict=True):
        items = [seen(pts_ns, index, modality) for index, (pts_ns, _) in enumerate(sorted(rows))]
        everything += items
        # A watermark after each item, as far as the next one allows.
        queue = []
        for index, item in enumerate(items):
            queue.append(item)
            if index + 1 < len(items):
                queue.append(mark(items[index + 1].span.start_ns))
        queues[modality] = [*queue, EndOfStream(stream_id="s", pts_ns=60)]
    merge = OrderedMerge({str(modality): None for modality in MODALITIES})
    out = []
    for turn in [*turns, *([0] * 40), *([1] * 40), *([2] * 40)]:
        modality = MODALITIES[turn]
        if queues[modality]:
            out += merge.push(str(modality), [queues[modality].pop(0)])
    data = [item for item in out if isinstance(item, Observation)]
    assert data == sorted(everything, key=position)
    marks = [item.pts_ns for item in out if isinstance(item, Watermark)]
    assert marks == sorted(set(marks))
    for index, item in enumerate(out):
        if isinstance(item, Watermark):
            assert all(later.span.start_ns >= item.pts_ns for later in out[index:] if isinstance(later, Observation))
    assert isinstance(out[-1], EndOfStream)
