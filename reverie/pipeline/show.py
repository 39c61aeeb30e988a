"""How results look: JSON for programs, plain lines for people, a live line of progress on stderr."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import IO, Any

from rich.console import Console
from rich.live import Live
from rich.text import Text

from reverie.memory import (
    BackupReceipt,
    CopyRecord,
    Entity,
    FactReceipt,
    ForgetReceipt,
    MemoryStats,
    Note,
    NoteReceipt,
    VerifyReport,
)
from reverie.pipeline.progress import Progress
from reverie.reasoning.phrasing import counted, day_of, plural
from reverie.types import NS_PER_S, Answer, Citation, Event, Fact, StreamRecord, zone_named


def minutes(seconds: float) -> str:
    """Seconds as m:ss, or h:mm:ss from an hour on."""
    whole = int(seconds)
    if whole < 3600:
        return f"{whole // 60}:{whole % 60:02d}"
    return f"{whole // 3600}:{whole // 60 % 60:02d}:{whole % 60:02d}"


def byte_count(num_bytes: float) -> str:
    """Bytes as B, kB, MB or GB."""
    for unit in ("B", "kB", "MB"):
        if num_bytes < 1000:
            return f"{num_bytes:.0f} {unit}" if unit == "B" else f"{num_bytes:.1f} {unit}"
        num_bytes /= 1000
    return f"{num_bytes:.1f} GB"


def progress_line(progress: Progress) -> str:
    """One line: time watched, speed, moments, events, words heard, bytes kept."""
    if not progress.ready_ns:
        return "starting the stages ..."
    count = progress.counters.value
    line = (
        f"watched {minutes(progress.watched_s)}  {progress.speed:.1f}x real time  "
        f"{counted(round(count('moments')), 'moment')}  {counted(round(count('events')), 'event')}  "
        f"{counted(round(count('words_heard')), 'word')} heard  {byte_count(count('bytes_kept'))} kept"
    )
    return f"{line}  PAUSED: {progress.paused}" if progress.paused else line


def summary(progress: Progress) -> str:
    """What a finished watch amounts to."""
    count = progress.counters.value
    lines = [
        progress_line(progress),
        f"frames: {count('frames_sampled'):.0f} sampled, {count('frames_unchanged'):.0f} unchanged, "
        f"{count('frames_encoded'):.0f} encoded; {counted(round(count('tracks')), 'thing')} followed, "
        f"{counted(round(count('words_read')), 'word')} read",
    ]
    if streams := dict.fromkeys([*progress.read_ns, *progress.watched_ns]):
        lines.append(f"streams: {', '.join(streams)}")
    if gaps := count("gaps"):
        lines.append(f"{counted(round(gaps), 'gap')}: see `reverie export --format json`")
    if repeated := count("observations_repeated"):
        lines.append(f"remembered already: {counted(round(repeated), 'observation')}")
    return "\n".join(lines)


class LiveProgress:
    """The progress line, redrawn in place on a terminal; on a pipe one line every `every_s` of media."""

    def __init__(self, stream: IO[str], every_s: float = 10.0) -> None:
        self._console = Console(file=stream)
        self._live = Live(console=self._console, refresh_per_second=8, transient=False)
        self._every_s, self._next_s = every_s, 0.0
        self._state = (False, False)  # paused, finished: a change is shown at once

    def __enter__(self) -> LiveProgress:
        if self._console.is_terminal:
            self._live.start()
        return self

    def update(self, progress: Progress) -> None:
        line = progress_line(progress)
        if self._console.is_terminal:
            self._live.update(Text(line, no_wrap=True, overflow="ellipsis"), refresh=True)
        elif (state := (bool(progress.paused), progress.finished)) != self._state or progress.watched_s >= self._next_s:
            self._state = state
            self._next_s = progress.watched_s + self._every_s
            self._console.file.write(line + "\n")
            self._console.file.flush()

    def __exit__(self, *_: object) -> None:
        if self._console.is_terminal:
            self._live.stop()


def citation_as_dict(citation: Citation) -> dict[str, Any]:
    """A citation for `ask --json`."""
    return {
        "stream_id": citation.stream_id,
        "start_s": round(citation.span.start_s, 3),
        "end_s": round(citation.span.end_s, 3),
        "modality": str(citation.modality),
        "text": citation.text,
        "thumbnail": citation.thumbnail,
        "score": round(citation.score, 4),
    }


def answer_as_dict(answer: Answer, latency_ms: float) -> dict[str, Any]:
    """An answer for `ask --json`, best citation first."""
    return {
        "answer": answer.text,
        "abstained": answer.abstained,
        "confidence": round(answer.confidence, 4),
        "citations": [citation_as_dict(citation) for citation in answer.citations],
        "latency_ms": round(latency_ms, 1),
    }


def answer_as_text(answer: Answer) -> str:
    """An answer with its evidence below it."""
    lines = [answer.text]
    for citation in answer.citations:
        span = f"{minutes(citation.span.start_s)}-{minutes(citation.span.end_s)}"
        quoted = f' "{citation.text}"' if citation.text else ""
        picture = f"  {citation.thumbnail}" if citation.thumbnail else ""
        lines.append(f"  [{span}] {citation.modality}{quoted} ({citation.stream_id}){picture}")
    return "\n".join(lines)


def event_as_dict(event: Event) -> dict[str, Any]:
    """An event for `timeline --json`."""
    return {
        "stream_id": event.stream_id,
        "start_s": round(event.span.start_s, 3),
        "end_s": round(event.span.end_s, 3),
        "text": event.text,
        "labels": {label.name: round(label.score, 3) for label in event.labels},
        "thumbnail": event.thumbnail,
        "open": event.open,
    }


def timeline_as_text(events: Sequence[Event], streams: Sequence[StreamRecord]) -> str:
    """An event on each line; with the day it began on, where more than one is shown."""
    records = {stream.stream_id: stream for stream in streams}
    days = [_day(event, records[event.stream_id]) for event in events]
    several = len({day for day in days if day}) > 1
    return "\n".join(
        (f"{day}  " if several and day else "") + _event_line(event) for day, event in zip(days, events, strict=True)
    )


def _event_line(event: Event) -> str:
    span = f"{minutes(event.span.start_s)}-{minutes(event.span.end_s)}"
    names = ", ".join(label.name for label in event.labels[:4])
    return f"[{span}] {event.stream_id}: {names}" + (f" - {event.text}" if event.text else "")


def _day(event: Event, stream: StreamRecord) -> str:
    """The day that it began on in its stream's zone, else the machine's; empty where no wall clock is known."""
    if stream.wall_anchor_ns is None:
        return ""
    zone = zone_named(stream.timezone) if stream.timezone else None
    return day_of(datetime.fromtimestamp((stream.wall_anchor_ns + event.span.start_ns) // NS_PER_S, zone))


def stats_as_dict(stats: MemoryStats) -> dict[str, Any]:
    """Counts and bytes for `memory stats --json`."""
    return {**asdict(stats), "total_bytes": stats.total_bytes}


def stats_as_text(stats: MemoryStats) -> str:
    """Counts on one line, bytes on the next."""
    senses = ", ".join(f"{count} {name}" for name, count in stats.observations.items()) or "nothing yet"
    parts = ", ".join(f"{byte_count(size)} {name}" for name, size in stats.bytes_on_disk.items() if size)
    held = [
        counted(stats.events, "event"),
        counted(stats.episodes, "episode"),
        counted(stats.tracks, "track"),
        counted(stats.labels, "label"),
        counted(stats.pictures, "picture"),
        counted(stats.gaps, "gap"),
    ]
    derived = [
        counted(stats.entities, "entity"),
        counted(stats.statements, "statement"),
        counted(stats.notes, "note"),
    ]
    return (
        f"{stats.hours_watched:.2f} h of {counted(stats.streams, 'stream')}: {senses}; {', '.join(held)}; "
        f"{', '.join(derived)}\n{byte_count(stats.total_bytes)} on disk ({parts})"
    )


def forgotten_as_dict(receipt: ForgetReceipt) -> dict[str, Any]:
    """What went, for `forget --json`."""
    found = [
        {
            "stream_id": row.stream_id,
            "start_s": round(row.span.start_s, 3),
            "end_s": round(row.span.end_s, 3),
            "modality": str(row.modality),
            "text": row.text,
        }
        for row in receipt.found
    ]
    return {"observations": receipt.observations, **asdict(receipt), "found": found}


_KINDS = ("vector", "track", "event", "label", "picture", "fact", "note", "template", "entity")


def forgotten_as_text(receipt: ForgetReceipt) -> str:
    """What went, by kind, and what is out of reach."""
    went = [f"{count} of {sense}" for sense, count in receipt.senses.items()]
    went += [counted(number, kind) for kind in _KINDS if (number := getattr(receipt, plural(kind)))]
    lines = [("would be forgotten: " if receipt.dry_run else "forgotten: ") + (", ".join(went) or "nothing")]
    if receipt.dry_run:
        for row in receipt.found:
            span = f"{minutes(row.span.start_s)}-{minutes(row.span.end_s)}"
            lines.append(f"  [{span}] {row.stream_id} {row.modality}" + (f' "{row.text}"' if row.text else ""))
        if receipt.observations > len(receipt.found):
            lines.append(f"  and {receipt.observations - len(receipt.found)} more")
        lines.append("nothing was changed")
    elif receipt.bytes_freed:
        lines[0] += f"; {byte_count(receipt.bytes_freed)} freed"
    if not receipt.complete:
        lines.append(
            "not complete: a reader holds the log, in which deleted bytes may still stand; they go when it has let go "
            "and the memory is next opened for writing"
        )
    if receipt.copies and (went or receipt.word_filters or receipt.less_familiar_hours):
        lines.append("not reached, and to be deleted by you where it holds this:")
        lines += [f"  {_copy_line(copy)}" for copy in receipt.copies]
    return "\n".join(lines)


def _copy_line(copy: CopyRecord) -> str:
    made = datetime.fromtimestamp(copy.made_ns / 1e9, tz=UTC).strftime("%Y-%m-%d %H:%M UTC")
    where = copy.path or "handed to a program or to the terminal"
    return f"{copy.kind} of {made}: {where}" + ("" if copy.there in (True, None) else " (no longer there)")


def copy_as_dict(receipt: BackupReceipt) -> dict[str, Any]:
    """What was copied, for `memory backup --json` and `memory restore --json`."""
    return {**asdict(receipt), "path": str(receipt.path)}


def copy_as_text(receipt: BackupReceipt) -> str:
    """What was copied, and what could not be."""
    text = (
        f"{receipt.path}: {counted(receipt.streams, 'stream')}, {counted(receipt.observations, 'observation')}, "
        f"{counted(receipt.events, 'event')}, {counted(receipt.pictures, 'picture')} ({receipt.linked} linked); "
        f"{byte_count(receipt.bytes_written)} written"
    )
    return text + (f"\nnot there to be copied: {counted(receipt.missing, 'picture')}" if receipt.missing else "")


def verdict_as_dict(report: VerifyReport) -> dict[str, Any]:
    """Counts and findings for `memory verify --json`."""
    return {"sound": report.sound, **asdict(report)}


def verdict_as_text(report: VerifyReport) -> str:
    """The counts of a sound memory, or a line for each finding."""
    if not report.findings:
        return "sound: " + ", ".join(f"{count} {table}" for table, count in report.counts.items())
    lines = []
    for finding in report.findings:
        end = "repaired" if finding.repaired else finding.advice
        lines.append(f"{finding.check}: {finding.subject} {finding.problem} ({end})")
    unlisted = sum(report.found.values()) - len(report.findings)
    return "\n".join([*lines, f"and {unlisted} more"] if unlisted else lines)


def entity_as_dict(entity: Entity) -> dict[str, Any]:
    """What was taught, for programs."""
    return asdict(entity)


def entity_as_text(entity: Entity) -> str:
    """One line: names, and how often it was shown."""
    names = ", ".join((entity.name, *entity.aliases))
    return f"{names}: {counted(entity.num_looks, 'look')}, {counted(entity.num_sounds, 'sound')} ({entity.kind})"


def fact_as_dict(fact: Fact) -> dict[str, Any]:
    """A fact for programs; times are Unix nanoseconds."""
    return asdict(fact)


def fact_as_text(fact: Fact) -> str:
    """One line: what is so, and who said it where."""
    cited = fact.evidence[0]
    over = " (superseded)" if fact.superseded_by is not None else ""
    where = f"{cited.stream_id} {minutes(cited.span.start_s)}"
    return f"{fact.subject} | {fact.predicate} | {fact.object}{over}  [{where}] {cited.text}"


def read_as_text(receipt: FactReceipt | NoteReceipt, name: str) -> str:
    """What a language model made of what it read, on a line."""
    new = counted(receipt.stored, f"new {name}")
    return f"{counted(receipt.passages, 'passage')}: {new}, {receipt.refused} refused"


def note_as_dict(note: Note) -> dict[str, Any]:
    """A note for programs; `about` is media time in seconds, `made_ns` Unix nanoseconds."""
    about = {"start_s": note.about.start_s, "end_s": note.about.end_s}
    return asdict(note) | {"about": about}


def note_as_text(note: Note) -> str:
    """One line: its number, what was concluded, about what, and the notes that it is linked to."""
    about = f"{note.stream_id} {minutes(note.about.start_s)}-{minutes(note.about.end_s)}"
    links = f"  see {', '.join(map(str, note.links))}" if note.links else ""
    return f"{note.note_id}. {note.text}  [{about}]{links}"
