"""A live session with real parts, small enough for quick tests: quick senses alone, in threads of this process."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from reverie.clock import SystemClock
from reverie.pipeline.session import Runner
from reverie.serve.live import LiveSession

QUICK = """
name: quick
summary: whole pictures, and whether there is music
objects: null
writing: null
speech: null
"""


class SteppingClock(SystemClock):
    """The machine's clock, which a test can put forward."""

    def __init__(self) -> None:
        self.ahead_ns = 0

    def monotonic_ns(self) -> int:
        return super().monotonic_ns() + self.ahead_ns


@pytest.fixture
def clock() -> SteppingClock:
    return SteppingClock()


@pytest.fixture
def live(tmp_path: Path, clock: SteppingClock) -> Iterator[LiveSession]:
    with quick_session(tmp_path, clock) as session:
        yield session


def quick_session(folder: Path, clock: SteppingClock, runner: Runner = "local") -> LiveSession:
    """A session over `folder/memory`."""
    profile = folder / "quick.yaml"
    profile.write_text(QUICK)
    return LiveSession(folder / "memory", profile=str(profile), runner=runner, clock=clock)
