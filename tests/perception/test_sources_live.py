"""A user's own items, and live streams over this machine's loopback: nothing lost without a record."""

import pickle
import threading
import time
from collections.abc import Iterator
from itertools import count

import numpy as np
import pytest

from reverie.errors import SourceError
from reverie.perception.sources import (
    IterableSource,
    LiveIterableSource,
    PushSource,
    SamplingConfig,
    SourceConfig,
    open_source,
)
from reverie.types import AudioChunk, EndOfStream, Frame, Gap, Watermark, ns
from tests.media import PLAIN, check_order, chirp, drained, heard, number_of, numbered, of, pull_all, same_items


def frame(number: int, at_s: float, **changes) -> Frame:
    values = {"stream_id": "mine", "seq": number, "pts_ns": ns(at_s), "image": numbered(number)}
    return Frame(**(values | changes))


def chunk(at_s: float, samples: np.ndarray, rate_hz: int = 48_000, **changes) -> AudioChunk:
    values = {"stream_id": "mine", "seq": 0, "pts_ns": ns(at_s), "samples": samples, "sample_rate_hz": rate_hz}
    return AudioChunk(**(values | changes))


def mixed(seconds: float = 10.0) -> list:
    sound = chirp(seconds, 48_000)
    items: list = [frame(i, i / 10) for i in range(round(seconds * 10))]
    items += [chunk(i / 48_000, sound[i : i + 9_600]) for i in range(0, len(sound), 9_600)]
    return sorted(items, key=lambda item: item.pts_ns)


# --- iterables ----------------------------------------------------------------------------------------------------


def test_iterable_is_sampled_resampled_and_in_order():
    source = open_source(iter(mixed()), PLAIN)
    start = source.open()
    items = pull_all(source)
    check_order(items)
    assert (start.stream_id, start.live, start.has_video, start.has_audio) == ("mine", False, True, True)
    assert [number_of(f.image) for f in of(Frame, items)] == list(range(0, 100, 5))
    sound = heard(of(AudioChunk, items))
    assert np.abs(sound - chirp(10.0, 16_000))[100:-100].max() < 2e-3
    assert source.counters.value("frames_decoded") == 100
    assert {item.stream_id for item in items} == {"mine"}


def test_iterable_of_stereo_and_of_one_kind():
    tone = chirp(2.0, 16_000)
    stereo = np.stack([tone, -tone], axis=1)
    source = IterableSource([chunk(0, stereo, 16_000)], stream_id="s")
    assert not source.open().has_video
    assert np.abs(heard(of(AudioChunk, pull_all(source)))).max() < 1e-6


def test_empty_iterable_ends_at_once():
    source = IterableSource([], stream_id="nothing")
    source.open()
    assert pull_all(source) == [EndOfStream(stream_id="nothing", pts_ns=0)]
    with pytest.raises(SourceError, match="stream_id"):
        IterableSource([]).open()


@pytest.mark.parametrize(
    ("item", "cause"),
    [
        (frame(1, 0, image=np.zeros((4, 4), np.uint8)), r"\(H, W, 3\) uint8 RGB, not \(4, 4\) uint8"),
        (frame(1, 0, image=np.zeros((4, 4, 4), np.uint8)), "uint8 RGB"),
        (frame(1, 0, image=np.zeros((4, 4, 3), np.float32)), "float32"),
        (frame(1, 0, image=np.zeros((0, 4, 3), np.uint8)), "empty"),
        (frame(1, 0, pts_ns=-5), "pts_ns"),
        (frame(1, 0, pts_ns=0.5), "pts_ns"),
        (chunk(0, np.zeros(10, np.int16)), "float32"),
        (chunk(0, np.zeros((2, 2, 2), np.float32)), "samples"),
        (chunk(0, np.full(10, np.nan, np.float32)), "finite"),
        (chunk(0, np.zeros(10, np.float32), 10), "rate"),
        ("a string", "Frame or AudioChunk, not str"),
    ],
)
def test_wrong_items_are_named(item, cause):
    with pytest.raises(SourceError, match=cause):
        pull_all_opened(IterableSource([item], stream_id="s"))
    with pytest.raises(SourceError, match=cause):
        PushSource("s").push(item)


def pull_all_opened(source) -> list:
    source.open()
    return pull_all(source)


def test_wrong_order_is_named():
    with pytest.raises(SourceError, match=r"item 2 \(video at 0\.500 s\) does not come after"):
        pull_all_opened(IterableSource([frame(0, 0), frame(1, 1), frame(2, 0.5)]))
    with pytest.raises(SourceError, match="other"):
        pull_all_opened(IterableSource([frame(0, 0), frame(1, 1, stream_id="other")]))
    apart = [frame(i, i) for i in range(20)] + [chunk(0, chirp(1, 48_000))]
    with pytest.raises(SourceError, match="interleave"):
        pull_all_opened(IterableSource(apart))


def test_iterable_can_be_restored_if_it_can_be_read_again():
    items = mixed()
    source = IterableSource(items, SourceConfig(batch_s=2))
    source.open()
    first, state = [source.pull(), source.pull()], pickle.dumps(source.snapshot())
    rest = pull_all(source)
    assert all(first)
    again = IterableSource(items, SourceConfig(batch_s=2))
    again.open()
    again.restore(pickle.loads(state))
    same_items(rest, pull_all(again))
    generator = IterableSource(iter(items), SourceConfig(batch_s=2))
    generator.open()
    with pytest.raises(SourceError, match="generator"):
        generator.restore(pickle.loads(state))


def test_items_of_the_user_are_copied():
    image = numbered(3).copy()
    source = IterableSource([frame(0, 0, image=image)])
    source.open()
    (sent,) = of(Frame, pull_all(source))
    assert not np.shares_memory(sent.image, image)


# --- pushed -------------------------------------------------------------------------------------------------------


def test_pushed_items_come_out_in_order_with_watermarks():
    source = PushSource("cam", PLAIN, wall_anchor_ns=5)
    start = source.open()
    assert (start.live, start.wall_anchor_ns) == (True, 5)
    got = []
    for item in mixed(4.0):
        source.push(item)
        if item.pts_ns % ns(1.0) == 0:
            got += drained(source)
    source.end()
    got += drained(source, wanted_end=True)
    check_order(got)
    assert [number_of(f.image) for f in of(Frame, got)] == list(range(0, 40, 5))
    assert len(heard(of(AudioChunk, got))) == 64_000
    assert not of(Gap, got)
    assert of(Watermark, got)
    with pytest.raises(SourceError, match="ended"):
        source.push(frame(9, 99))


def test_pictures_alone_are_not_held_back():
    source = PushSource("cam", PLAIN, has_audio=False)
    source.open()
    source.push(frame(1, 0.0))
    items = source.pull()
    assert [type(item) for item in items] == [Frame, Watermark]
    assert items[1].pts_ns == 1


def test_silent_microphone_holds_pictures_back_for_live_skew_only():
    source = PushSource("cam", PLAIN)
    source.open()
    for i in range(10):
        source.push(frame(i, i * 0.5))
    assert [f.pts_ns / 1e9 for f in of(Frame, drained(source))] == [1.0, 1.5, 2.0, 2.5]
    assert not drained(source)


def test_newest_pictures_win_and_the_rest_is_a_gap():
    source = PushSource("cam", SourceConfig(sampling=SamplingConfig(gate=False), live_pictures=4), has_audio=False)
    source.open()
    for i in range(20):
        source.push(frame(i, i * 0.5))
    items = drained(source)
    check_order(items)
    assert [number_of(f.image) for f in of(Frame, items)] == [16, 17, 18, 19]
    (gap,) = of(Gap, items)
    assert (gap.num_dropped, gap.span.start_s, gap.span.end_s) == (16, 0.0, 8.0)
    assert source.counters.value("frames_dropped") == 16


def test_sound_is_kept_up_to_its_bound_and_its_loss_recorded():
    config = SourceConfig(live_sound_s=5.0)
    source = PushSource("mic", config, has_video=False)
    source.open()
    for i in range(8):
        source.push(chunk(i, chirp(1.0, 16_000), 16_000))
    items = drained(source)
    source.end()
    items += drained(source, wanted_end=True)
    check_order(items)
    assert len(heard(of(AudioChunk, items))) == 5 * 16_000
    (gap,) = of(Gap, items)
    assert (gap.span.start_s, gap.span.end_s) == (0.0, 3.0)


def test_pull_of_a_quiet_source_returns_soon():
    source = PushSource("cam")
    source.open()
    started = time.perf_counter()
    assert source.pull() == []
    assert time.perf_counter() - started < 2.0  # 50 ms and a busy machine


def test_many_threads_may_push():
    source = PushSource("cam", SourceConfig(live_pictures=1_000, sampling=SamplingConfig(fps=100, gate=False)))
    source.open()
    times = count()

    def push() -> None:
        for _ in range(50):
            source.push(frame(0, next(times) / 100))

    threads = [threading.Thread(target=push) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    source.end()
    items = drained(source, wanted_end=True)
    check_order(items)
    dropped = sum(gap.num_dropped for gap in of(Gap, items))
    assert len(of(Frame, items)) + dropped == 200


def test_live_iterable_is_read_in_its_own_thread_and_its_failure_is_told():
    def camera() -> Iterator[Frame]:
        yield frame(0, 0.0)
        yield frame(1, 0.5)
        raise RuntimeError("unplugged")

    source = open_source(camera(), PLAIN, live=True, stream_id="mine")
    assert isinstance(source, LiveIterableSource)
    assert source.open().live
    with pytest.raises(SourceError, match="unplugged"):
        drained(source, wanted_end=True)


def test_live_iterable_ends():
    source = LiveIterableSource(mixed(2.0), PLAIN, stream_id="mine")
    source.open()
    items = drained(source, wanted_end=True)
    check_order(items)
    assert number_of(of(Frame, items)[-1].image) == 15
