"""Looking after a memory that nobody watches into: consolidation and pins, for the command line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from reverie.errors import MemoryStoreError
from reverie.memory import Memory, PinRecord
from reverie.memory.store import DATABASE
from reverie.pipeline.build import open_memory
from reverie.pipeline.config import load_profile
from reverie.pipeline.show import byte_count, minutes
from reverie.pipeline.stream_names import named_streams
from reverie.reasoning.phrasing import counted
from reverie.types import TimeSpan


def consolidate(directory: Path, profile: str, max_s: float | None) -> dict[str, Any]:
    """Consolidate under the options of a profile; what was done."""
    with _opened(directory, profile) as memory:
        return asdict(memory.consolidate(max_s))


def pin(directory: Path, profile: str, span: TimeSpan | None, stream_ids: Sequence[str]) -> list[PinRecord]:
    """Pin a span; all pins."""
    with _opened(directory, profile) as memory:
        return memory.pin(span, named_streams(memory, stream_ids))


def unpin(directory: Path, span: TimeSpan | None, stream_ids: Sequence[str]) -> list[PinRecord]:
    """Unpin a span; what stays pinned. Opened without a budget: pins may be all that is in its way."""
    with _opened(directory, "embedded", unbounded=True) as memory:
        return memory.unpin(span, named_streams(memory, stream_ids))


def consolidation_as_text(done: dict[str, Any]) -> str:
    """One line."""
    rest = "" if done["complete"] else "; time ran out, call it again"
    return (
        f"{counted(done['recalls'], 'recall')} folded in, {counted(done['expired'], 'observation')} expired, "
        f"{counted(done['repeats'], 'repeat')} merged, {counted(done['episodes'], 'episode')} built, "
        f"{byte_count(done['bytes_freed'])} freed{rest}"
    )


def pins_as_dict(pins: Sequence[PinRecord]) -> dict[str, Any]:
    """Pins for `--json`."""
    return {"pins": [{"stream_id": p.stream_id, "start_s": p.span.start_s, "end_s": p.span.end_s} for p in pins]}


def pins_as_text(pins: Sequence[PinRecord]) -> str:
    """A line for each pin."""
    lines = [f"{minutes(p.span.start_s)}-{minutes(p.span.end_s)}  {p.stream_id}" for p in pins]
    return "\n".join(lines) or "nothing is pinned"


def _opened(directory: Path, profile: str, unbounded: bool = False) -> Memory:
    directory = directory.resolve()
    if not (directory / DATABASE).exists():  # opened for writing it would be made
        raise MemoryStoreError(f"there is no memory at {directory}: watch something into it first")
    loaded = load_profile(profile)
    if unbounded:
        loaded = loaded.model_copy(update={"memory": loaded.memory.model_copy(update={"max_bytes": None})})
    return open_memory(directory, loaded, "w")
