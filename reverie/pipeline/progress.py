"""How far a run has come: time watched, speed against real time, what was found, where the time went."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from reverie.pipeline.graph import Role
from reverie.pipeline.host import Report
from reverie.telemetry import Counters
from reverie.types import NS_PER_S


@dataclass(slots=True)
class StageTime:
    """What the steps of one node took, summed."""

    num_steps: int = 0
    num_items: int = 0
    wall_s: float = 0.0
    cpu_s: float = 0.0


@dataclass(slots=True)
class Progress:
    """Updated by the executor after every step; read by whoever shows it.

    `read_ns` is how far each source has been read, `watched_ns` how far memory has committed it.
    """

    num_streams: int
    started_ns: int
    ready_ns: int = 0
    now_ns: int = 0
    finished: bool = False
    paused: str = ""
    read_ns: dict[str, int] = field(default_factory=dict)
    watched_ns: dict[str, int] = field(default_factory=dict)
    counters: Counters = field(default_factory=Counters)
    stages: dict[str, StageTime] = field(default_factory=dict)

    def step_done(self, name: str, role: Role, report: Report, now_ns: int) -> None:
        """Add the report of one step."""
        self.now_ns = now_ns
        time = self.stages.setdefault(name, StageTime())
        time.num_steps += 1
        time.num_items += report.num_items
        time.wall_s += report.wall_s
        time.cpu_s += report.cpu_s
        self.counters.merge(report.counters)
        if role is Role.SINK:
            self.paused = report.paused
            self.watched_ns.update(report.watched_ns)
        elif role is Role.SOURCE:
            self.read_ns.update(report.watched_ns)

    def finish(self, now_ns: int) -> None:
        self.now_ns, self.finished = now_ns, True

    @property
    def watched_s(self) -> float:
        """Media time committed, over all streams."""
        return sum(self.watched_ns.values()) / NS_PER_S

    @property
    def elapsed_s(self) -> float:
        """Wall time since the stages were ready."""
        return max(0, self.now_ns - (self.ready_ns or self.now_ns)) / NS_PER_S

    @property
    def startup_s(self) -> float:
        return max(0, self.ready_ns - self.started_ns) / NS_PER_S

    @property
    def speed(self) -> float:
        """Media time over wall time; 2.0 is twice as fast as real time."""
        return self.watched_s / self.elapsed_s if self.elapsed_s else 0.0

    def as_dict(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "watched_s": round(self.watched_s, 3),
            "elapsed_s": round(self.elapsed_s, 3),
            "startup_s": round(self.startup_s, 3),
            "speed": round(self.speed, 3),
            "streams": {stream_id: round(pts_ns / NS_PER_S, 3) for stream_id, pts_ns in self.watched_ns.items()},
            **{name: round(value, 3) for name, value in sorted(self.counters.values().items())},
            "stages": {
                name: {"steps": time.num_steps, "wall_s": round(time.wall_s, 3), "cpu_s": round(time.cpu_s, 3)}
                for name, time in self.stages.items()
            },
        }
