"""Processor time and memory of this process and everything it started, Ray's own processes included."""

from __future__ import annotations

import contextlib

import psutil


def family() -> list[psutil.Process]:
    """This process and all its descendants, and every process of the Ray cluster that it started."""
    me = psutil.Process()
    return [me, *me.children(recursive=True)]


class ProcessorTime:
    """User and system time of the family. Sampled, so that what a process spent stays counted when it has ended."""

    def __init__(self) -> None:
        self._spent: dict[tuple[int, float], float] = {}

    def sample(self) -> float:
        """Seconds so far, of those that live and of those that lived at an earlier sample."""
        for process in family():
            with contextlib.suppress(psutil.NoSuchProcess):
                times = process.cpu_times()
                self._spent[process.pid, process.create_time()] = times.user + times.system
        return sum(self._spent.values())


def memory_bytes() -> int:
    """Proportional set size of the family: shared pages are counted once."""
    total = 0
    for process in family():
        with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            total += process.memory_full_info().pss
    return total
