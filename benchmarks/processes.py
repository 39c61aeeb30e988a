"""Processor time and memory of this process and everything it started, Ray's own processes included."""

from __future__ import annotations

import contextlib

import psutil


def family() -> list[psutil.Process]:
    """This process and all its descendants, and every process of the Ray cluster that it started."""
    me = psutil.Process()
    return [me, *me.children(recursive=True)]


def cpu_seconds() -> float:
    """User and system time of the family so far; the dead count through their parents."""
    total = 0.0
    for process in family():
        with contextlib.suppress(psutil.NoSuchProcess):
            times = process.cpu_times()
            total += times.user + times.system
    return total


def memory_bytes() -> int:
    """Proportional set size of the family: shared pages are counted once."""
    total = 0
    for process in family():
        with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            total += process.memory_full_info().pss
    return total
