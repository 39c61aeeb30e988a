"""Hosts: what they pass on, how they cut and resume, and what the memory host acknowledges when."""

import pytest

from reverie.errors import MemoryFull, StageError
from reverie.pipeline.graph import Port
from reverie.pipeline.host import SourceHost, StageHost, describe
from reverie.pipeline.memory_host import MemoryHost
from reverie.testing import FakeEncoder, FakeListener, FakeSource, RecordingMemory
from reverie.types import NS_PER_S, AudioChunk, Cut, EndOfStream, Frame, Observation, StreamStart, Watermark

PORTS = (Port.AUDIO, Port.RECORDS, Port.VIDEO)
OUT = (Port.OBSERVATIONS,)


def source_host(seconds=10, live=False, cut_interval_s=4.0, source=FakeSource):
    host = SourceHost(lambda: source("s", seconds, live), PORTS, cut_interval_s)
    host.setup()
    return host


def steps(host, limit=100):
    """Step to the end; the reports, and all items of each port."""
    reports, items = [], {port: [] for port in PORTS}
    for _ in range(limit):
        report, *batches = host.step(())
        reports.append(report)
        for port, batch in zip(PORTS, batches, strict=True):
            items[port] += batch
        if report.ended:
            return reports, items
    raise AssertionError("no end")


def of(kind, items):
    return [item for item in items if isinstance(item, kind)]


def test_a_source_sends_each_kind_down_its_port_and_control_down_all():
    reports, items = steps(source_host(seconds=5))
    assert [frame.seq for frame in of(Frame, items[Port.VIDEO])] == list(range(10))
    assert [chunk.seq for chunk in of(AudioChunk, items[Port.AUDIO])] == list(range(10))
    assert len(of(StreamStart, items[Port.RECORDS])) == 1
    assert isinstance(items[Port.RECORDS][0], StreamStart)
    control = [item for item in items[Port.VIDEO] if not isinstance(item, Frame)]
    assert control == [item for item in items[Port.AUDIO] if not isinstance(item, AudioChunk)]
    assert control == items[Port.RECORDS][1:]
    assert isinstance(control[-1], EndOfStream)
    assert reports[-1].watched_ns == {"s": 5 * NS_PER_S}


def test_frames_that_were_sent_cannot_be_written_to():
    _, items = steps(source_host(seconds=1))
    with pytest.raises(ValueError, match="read-only"):
        of(Frame, items[Port.VIDEO])[0].image[0, 0, 0] = 1


def test_a_file_is_cut_and_goes_on_from_any_cut_with_the_same_items():
    reports, items = steps(source_host())
    states = {key: state for report in reports for key, state in report.snapshots.items()}
    assert list(states) == [("s", 1), ("s", 2)]
    for (_, index), state in states.items():
        cut_at = items[Port.VIDEO].index(Cut(stream_id="s", index=index, pts_ns=4 * index * NS_PER_S))
        again = source_host()
        again.restore({"s": state})
        _, replayed = steps(again)
        assert [item.seq for item in of(Frame, replayed[Port.VIDEO])] == [
            item.seq for item in of(Frame, items[Port.VIDEO][cut_at:])
        ]
        assert of(Cut, replayed[Port.VIDEO]) == of(Cut, items[Port.VIDEO][cut_at + 1 :])


def test_without_a_state_a_file_starts_afresh():
    host = source_host(seconds=6)
    host.step(())
    host.step(())
    host.restore({"s": None})
    _, items = steps(host)
    assert [frame.seq for frame in of(Frame, items[Port.VIDEO])] == list(range(12))


def test_a_live_stream_is_not_cut_and_ends_when_it_is_told():
    host = source_host(seconds=1000, live=True)
    for _ in range(9):
        report, *_ = host.step(())
        assert not report.snapshots
    host.finish()
    report, *batches = host.step(())
    assert report.ended == ["s"]
    assert batches[0] == [EndOfStream(stream_id="s", pts_ns=9 * NS_PER_S)]
    assert host.step(())[0].num_items == 0


def test_what_a_source_raises_is_named_with_stream_and_time():
    class Breaking(FakeSource):
        def pull(self):
            if self._second == 3:
                raise OSError("unplugged")
            return super().pull()

    host = source_host(source=Breaking)
    with pytest.raises(StageError, match=r"stage source failed on stream s at 3\.000 s.*unplugged"):
        steps(host)


def stage_host(make):
    host = StageHost("sense", make, OUT)
    host.setup()
    return host


def test_a_stage_never_sees_control_and_its_watermark_waits_for_what_it_holds():
    _, items = steps(source_host(seconds=5))
    host = stage_host(FakeListener)  # says something every 7 chunks, 3.5 s
    promised, said = -1, []
    for item in items[Port.AUDIO]:
        _, out = host.step(("in",), [item])
        for sent in out:
            if isinstance(sent, Observation):
                said.append(sent)
                assert sent.span.start_ns >= promised, "sent after it was promised that nothing so early would come"
            elif isinstance(sent, Watermark):
                assert sent.pts_ns > promised
                promised = sent.pts_ns
    assert [row.span.start_ns for row in said] == [0, 7 * NS_PER_S // 2]


def test_a_stage_that_was_restored_says_what_it_would_have_said():
    _, items = steps(source_host(seconds=10))
    audio = items[Port.AUDIO]
    whole = stage_host(FakeListener)
    report, said = whole.step(("in",), audio)
    (first, *_) = report.snapshots
    cut_at = next(i for i, item in enumerate(audio) if isinstance(item, Cut) and item.index == first[1])
    fresh = stage_host(FakeListener)
    fresh.restore({"s": report.snapshots[first]})
    _, later = fresh.step(("in",), audio[cut_at + 1 :])
    cut_in_out = next(i for i, item in enumerate(said) if isinstance(item, Cut))
    assert of(Observation, later) == of(Observation, said[cut_in_out:])


def test_a_stage_forgets_a_stream_that_ended():
    host = stage_host(FakeEncoder)
    _, items = steps(source_host(seconds=2))
    first = host.step(("in",), items[Port.VIDEO])[1]
    second = host.step(("in",), items[Port.VIDEO])[1]
    labels = [[row.labels[0].name for row in of(Observation, out)] for out in (first, second)]
    assert labels[0] == labels[1] == [f"frame {n}" for n in range(1, 5)]


def test_a_batch_is_described_without_its_arrays():
    _, items = steps(source_host(seconds=2))
    batch = describe(items[Port.VIDEO])
    assert batch.num_data == 4
    assert batch.spans == {"s": (4, 0, 3 * NS_PER_S // 2)}
    assert all(not isinstance(item, Frame) for item in batch.control)


class SmallDisk(RecordingMemory):
    """Refuses to write while it is full."""

    full = False

    def write(self, items):
        if self.full:
            raise MemoryFull("no space left")
        return super().write(items)


@pytest.fixture
def disk(tmp_path):
    return SmallDisk(tmp_path / "rows.jsonl")


def memory_host(disk):
    host = MemoryHost(lambda: disk, {"vision": None, "speech": None})
    host.setup()
    return host


def perceived(seconds=5):
    """What two stages send to memory, cut every 4 s."""
    _, items = steps(source_host(seconds=seconds))
    seen = stage_host(FakeEncoder).step(("in",), items[Port.VIDEO])[1]
    heard = stage_host(FakeListener).step(("in",), items[Port.AUDIO])[1]
    return seen, heard


def test_memory_acknowledges_a_cut_only_when_every_sense_has_passed_it(disk, tmp_path):
    seen, heard = perceived()
    host = memory_host(disk)
    (report,) = host.step(("vision",), seen)
    assert (report.cuts, report.ended) == ([], [])
    (report,) = host.step(("speech",), heard)
    assert [cut.index for cut in report.cuts] == [1]
    assert report.ended == ["s"]
    starts = [row["start_ns"] for row in RecordingMemory.rows(tmp_path / "rows.jsonl")]
    assert starts == sorted(starts)
    assert len(starts) == 12


def test_a_full_disk_pauses_and_nothing_is_acknowledged_or_lost(disk, tmp_path):
    seen, heard = perceived()
    host = memory_host(disk)
    disk.full = True
    (report,) = host.step(("vision", "speech"), seen, heard)
    assert report.paused == "no space left"
    assert report.retry_after_s > 0
    assert (report.cuts, report.ended, report.watched_ns) == ([], [], {})
    (report,) = host.step(())
    assert report.paused
    disk.full = False
    (report,) = host.step(())
    assert not report.paused
    assert report.ended == ["s"]
    assert len(RecordingMemory.rows(tmp_path / "rows.jsonl")) == 12


def test_after_a_restore_what_is_sent_again_is_written_once(disk, tmp_path):
    seen, heard = perceived()
    host = memory_host(disk)
    host.step(("vision",), seen[: len(seen) // 2])
    host.restore({})
    host.step(("vision", "speech"), seen, heard)
    rows = RecordingMemory.rows(tmp_path / "rows.jsonl")
    assert len(rows) == len({str(row["key"]) for row in rows}) == 12
