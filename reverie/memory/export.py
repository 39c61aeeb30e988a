"""Memories as files that other programs read: subtitles (pysubs2), JSON, Parquet (pyarrow)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any, Literal, cast, get_args

from reverie.errors import UsageError
from reverie.memory.records import Entity, GapRecord, Note
from reverie.types import Episode, Event, Fact, Observation, StreamRecord, TimeSpan, Track

ExportFormat = Literal["srt", "vtt", "json", "parquet"]


def check_format(name: str) -> ExportFormat:
    """The format of that name. Raises UsageError."""
    if name not in get_args(ExportFormat):
        raise UsageError(f"{name!r} is not a format to export: choose one of {', '.join(get_args(ExportFormat))}")
    return cast(ExportFormat, name)


def subtitles(speech: Iterable[Observation], format: Literal["srt", "vtt"]) -> bytes:
    """One cue for each utterance, in time order; utterances that last no time get one second."""
    import pysubs2

    cues = pysubs2.SSAFile()
    for said in sorted(speech, key=lambda said: said.span):
        start_ms, end_ms = said.span.start_ns // 1_000_000, said.span.end_ns // 1_000_000
        cue = pysubs2.SSAEvent(start=start_ms, end=end_ms if end_ms > start_ms else start_ms + 1000)
        cue.plaintext = said.text
        cues.append(cue)
    return str(cues.to_string(format)).encode()


def as_json(
    streams: Sequence[StreamRecord],
    events: Sequence[Event],
    observations: Iterable[Observation],
    tracks: Sequence[Track],
    gaps: Sequence[GapRecord],
    episodes: Sequence[Episode],
    entities: Sequence[Entity],
    facts: Sequence[Fact],
    notes: Sequence[Note],
) -> bytes:
    """Everything but vectors and pictures; times in seconds of media time; fields in `_ns` are Unix time."""
    document = {
        "streams": [_plain(asdict(record)) for record in streams],
        "events": [_plain(asdict(event)) for event in events],
        "tracks": [_plain(asdict(track)) for track in tracks],
        "gaps": [_plain(asdict(gap)) for gap in gaps],
        "episodes": [_plain(asdict(episode)) for episode in episodes],
        "entities": [_plain(asdict(entity)) for entity in entities],
        "facts": [_plain(asdict(fact)) for fact in facts],
        "notes": [_plain(asdict(note)) for note in notes],
        "observations": [_plain(_without_bytes(observation)) for observation in observations],
    }
    return (json.dumps(document, ensure_ascii=False, indent=1) + "\n").encode()


def as_parquet(observations: Iterable[Observation]) -> bytes:
    """One row for each observation, its vector decoded to float32; times in nanoseconds."""
    import pyarrow as pa
    import pyarrow.parquet as parquet

    named = pa.list_(pa.struct([("name", pa.string()), ("score", pa.float32()), ("kind", pa.string())]))
    word = pa.list_(pa.struct([("text", pa.string()), ("start_ns", pa.int64()), ("end_ns", pa.int64())]))
    corners = [(name, pa.float32()) for name in ("score", "x0", "y0", "x1", "y1")]
    box = pa.list_(pa.struct([("track_id", pa.int64()), ("name", pa.string()), *corners, ("since_ns", pa.int64())]))
    schema = pa.schema(
        [
            ("stream_id", pa.string()), ("modality", pa.string()), ("seq", pa.int64()), ("start_ns", pa.int64()),
            ("end_ns", pa.int64()), ("confidence", pa.float32()), ("text", pa.string()), ("labels", named),
            ("words", word), ("boxes", box), ("arousal", pa.float32()),
            ("encoder", pa.string()), ("embedding", pa.list_(pa.float32())),
        ]
    )  # fmt: skip
    rows = [
        {
            "stream_id": item.stream_id, "modality": str(item.modality), "seq": item.seq,
            "start_ns": item.span.start_ns, "end_ns": item.span.end_ns, "confidence": item.confidence,
            "text": item.text,
            "labels": [asdict(label) for label in item.labels],
            "words": [{"text": w.text, "start_ns": w.span.start_ns, "end_ns": w.span.end_ns} for w in item.words],
            "boxes": [asdict(box) for box in item.boxes], "arousal": item.arousal, "encoder": item.encoder,
            "embedding": None if item.embedding is None else item.embedding.tolist(),
        }
        for item in observations
    ]  # fmt: skip
    sink = pa.BufferOutputStream()
    parquet.write_table(pa.Table.from_pylist(rows, schema=schema), sink)
    return bytes(sink.getvalue().to_pybytes())


def _without_bytes(observation: Observation) -> dict[str, Any]:
    fields = asdict(observation)
    return {name: value for name, value in fields.items() if name not in ("embedding", "thumbnail")}


def _plain(value: Any) -> Any:
    """Spans become start_s and end_s beside the other fields."""
    if isinstance(value, dict):
        plain = {name: _plain(part) for name, part in value.items() if not _is_span(part)}
        for name, part in value.items():
            if _is_span(part):
                prefix = "" if name == "span" else name + "_"
                span = TimeSpan(**part)
                plain |= {prefix + "start_s": span.start_s, prefix + "end_s": span.end_s}
        return plain
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    return value


def _is_span(value: Any) -> bool:
    return isinstance(value, dict) and value.keys() == {"start_ns", "end_ns"}
