"""Metrics: declared once, summed, drained, rendered."""

import io
import json

import pytest

from reverie.clock import ManualClock
from reverie.errors import SourceError, StageError
from reverie.telemetry import METRICS, Counters, Span, SpanLog, prometheus


def test_only_declared_metrics_can_be_counted():
    with pytest.raises(KeyError, match="not declared"):
        Counters().add("frames_imagined")


def test_draining_starts_again_from_zero():
    counters = Counters()
    counters.add("frames_sampled", 2)
    counters.merge({"frames_sampled": 3, "gaps": 1})
    assert counters.drain() == {"frames_sampled": 5, "gaps": 1}
    assert counters.drain() == {}
    assert counters.value("frames_sampled") == 0


def test_prometheus_text_names_help_and_type():
    lines = prometheus({"gaps": 2}).splitlines()
    assert lines == [
        f"# HELP reverie_gaps_total {METRICS['gaps'].help}",
        "# TYPE reverie_gaps_total counter",
        "reverie_gaps_total 2",
    ]


def test_spans_are_json_lines():
    out = io.StringIO()
    SpanLog(out).write(Span(stage="vision", started_ns=1, wall_s=0.5, cpu_s=0.25, num_items=8))
    assert json.loads(out.getvalue()) == {
        "stage": "vision",
        "started_ns": 1,
        "wall_s": 0.5,
        "cpu_s": 0.25,
        "num_items": 8,
    }


def test_a_manual_clock_moves_only_when_told():
    clock = ManualClock(wall_ns=5)
    clock.sleep(1.5)
    assert clock.wall_ns() == 1_500_000_005
    assert clock.monotonic_ns() == 1_500_000_000


@pytest.mark.parametrize("error", [SourceError("a.mp4", "it is empty"), StageError("vision", "boom", "s", 7)])
def test_errors_survive_the_way_between_processes(error):
    import pickle

    again = pickle.loads(pickle.dumps(error))
    assert str(again) == str(error)
    assert again.exit_code == error.exit_code
