"""What reverie counts and times: every metric declared once, here, with its unit and meaning.

Stages add to their own `Counters`; hosts drain them after every call and runners sum them, so no
metric needs a lock or a server. `prometheus` renders a total in the text exposition format (version
0.0.4), `SpanLog` writes one JSON line for each call of a stage.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import IO


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One counter: its name, unit and meaning."""

    name: str
    unit: str
    help: str


_DECLARED = (
    Metric(name="frames_decoded", unit="frames", help="Pictures decoded from sources."),
    Metric(name="frames_sampled", unit="frames", help="Pictures taken from the decoded ones, by time."),
    Metric(name="frames_unchanged", unit="frames", help="Sampled pictures that the content gate skipped."),
    Metric(name="frames_dropped", unit="frames", help="Sampled pictures lost by live edges and recorded as gaps."),
    Metric(name="frames_encoded", unit="frames", help="Pictures turned into vectors."),
    Metric(name="frames_detected", unit="frames", help="Pictures searched for objects."),
    Metric(name="frames_read", unit="frames", help="Pictures read by the text recogniser."),
    Metric(name="audio_seconds", unit="seconds", help="Sound decoded from sources."),
    Metric(name="speech_seconds", unit="seconds", help="Sound transcribed."),
    Metric(name="words_heard", unit="words", help="Words recognised in speech."),
    Metric(name="words_read", unit="words", help="Words recognised on screen."),
    Metric(name="shots", unit="shots", help="Hard cuts found."),
    Metric(name="tracks", unit="tracks", help="Things that were followed."),
    Metric(name="observations", unit="observations", help="Observations committed to memory."),
    Metric(name="observations_repeated", unit="observations", help="Observations ignored, being there already."),
    Metric(name="observations_rejected", unit="observations", help="Observations refused: not finite, or too wide."),
    Metric(name="moments", unit="moments", help="Picture moments committed to memory."),
    Metric(name="events", unit="events", help="Events closed."),
    Metric(name="pictures", unit="pictures", help="Key frames kept."),
    Metric(name="bytes_kept", unit="bytes", help="Bytes added to the memory's directory."),
    Metric(name="gaps", unit="gaps", help="Losses recorded."),
    Metric(name="recoveries", unit="restarts", help="Times that a stage died and work resumed from a cut."),
)
METRICS: Mapping[str, Metric] = {metric.name: metric for metric in _DECLARED}


class Counters:
    """Sums by metric name. Adding to a name that is not declared raises KeyError."""

    def __init__(self) -> None:
        self._values: dict[str, float] = {}

    def add(self, name: str, amount: float = 1) -> None:
        if name not in METRICS:
            raise KeyError(f"metric {name!r} is not declared in telemetry.METRICS")
        self._values[name] = self._values.get(name, 0) + amount

    def merge(self, values: Mapping[str, float]) -> None:
        for name, amount in values.items():
            self.add(name, amount)

    def drain(self) -> dict[str, float]:
        """Return what was counted since the last drain, and start again from zero."""
        values, self._values = self._values, {}
        return values

    def value(self, name: str) -> float:
        return self._values.get(name, 0)

    def values(self) -> dict[str, float]:
        return dict(self._values)


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """One call of one stage: how many items, how long by the wall and on the processor."""

    stage: str
    started_ns: int
    wall_s: float
    cpu_s: float
    num_items: int


class SpanLog:
    """Spans as JSON lines."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream

    def write(self, span: Span) -> None:
        self._stream.write(json.dumps(asdict(span)) + "\n")


def prometheus(values: Mapping[str, float]) -> str:
    """Counters in Prometheus' text format."""
    lines: list[str] = []
    for name, amount in sorted(values.items()):
        metric = METRICS[name]
        full = f"reverie_{name}_total"
        lines += [f"# HELP {full} {metric.help}", f"# TYPE {full} counter", f"{full} {amount:g}"]
    return "\n".join(lines) + "\n"
