"""Weeks of watching through the full write path on a manual clock: disk within budget, RAM flat, writes quick.

    python benchmarks/soak.py [--days 30] [--minutes 20] [--max-bytes 100000000] [--json]

The stream is synthetic and seeded: one moment a second (a 512-dimensional vector near one of 200 scene centres,
a new scene every 20-60 s with a 3 kB key frame), an utterance of eight words every 20 s (384-dimensional bag of
words), written in batches of 10 s, each on disk when the call returns. Every simulated 10 minutes one question is asked
of a reader. The run ends after `--days` of stream or `--minutes` of wall time, whichever comes first, and says which.

- disk: the largest size of the directory, measured every simulated 10 minutes, over the budget;
- holes: the share of the database's pages that holds nothing when the run ends;
- RAM: slope of the process's resident bytes over simulated days, after the second day;
- write and search: p50 and p99 of the calls, those that demote included.
"""

from __future__ import annotations

import shutil
import sqlite3
import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.report import arguments, progress, publish, table
from reverie.clock import ManualClock
from reverie.memory import Memory, MemoryConfig
from reverie.types import Item, Label, Modality, Observation, Query, StreamStart, TimeSpan, Watermark, ns

DAY_S, BATCH_S, ASK_EVERY_S = 86_400, 10, 600
SCENE_WIDTH, TEXT_WIDTH, NUM_SCENES = 512, 384, 200
STREAM = "soak"


class WordVectors:
    """A text encoder: the normalised sum of one fixed random direction for each word."""

    encoder_id = "soak-words"

    def __init__(self) -> None:
        self._known: dict[str, np.ndarray] = {}

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        rows = [sum(self._direction(word) for word in text.split() or [""]) for text in texts]
        return np.stack([row / np.linalg.norm(row) for row in rows]).astype(np.float32)

    def _direction(self, word: str) -> np.ndarray:
        if word not in self._known:
            seed = int.from_bytes(word.encode()[-8:].rjust(8, b"\0"), "big")
            self._known[word] = np.random.default_rng(seed).standard_normal(TEXT_WIDTH)
        return self._known[word]


def batches(rng: np.random.Generator, days: float) -> Iterator[list[Item]]:
    """The stream, ten seconds at a time."""
    centres = rng.standard_normal((NUM_SCENES, SCENE_WIDTH))
    words = [f"word{number}" for number in range(5_000)]
    scene, until_s, cut = 0, 0, True
    for start_s in range(0, int(days * DAY_S), BATCH_S):
        items: list[Item] = []
        noise = rng.standard_normal((BATCH_S, SCENE_WIDTH)) * 0.5
        for at_s in range(start_s, start_s + BATCH_S):
            if at_s >= until_s:
                scene, until_s, cut = int(rng.integers(NUM_SCENES)), at_s + int(rng.integers(20, 61)), True
            vector = centres[scene] + noise[at_s - start_s]
            picture = b"\xff\xd8" + rng.bytes(3000) + b"\xff\xd9" if cut else None
            items.append(
                Observation(
                    stream_id=STREAM, seq=at_s, span=_span(at_s, 1), modality=Modality.VISION,
                    embedding=(vector / np.linalg.norm(vector)).astype(np.float32), encoder="soak-scenes",
                    labels=(Label(name=f"scene {scene}", score=0.7), Label(name=f"scene {scene // 10}0s", score=0.2)),
                    thumbnail=picture, starts_shot=cut,
                )
            )  # fmt: skip
            cut = False
            if at_s % 20 == 0:
                text = " ".join(words[int(n)] for n in 5_000 * rng.random(8) ** 3)
                items.append(
                    Observation(
                        stream_id=STREAM, seq=at_s, span=_span(at_s, 3), modality=Modality.SPEECH, text=text
                    )
                )  # fmt: skip
        items.append(Watermark(stream_id=STREAM, pts_ns=ns(start_s + BATCH_S)))
        yield items


def _span(start_s: float, duration_s: float) -> TimeSpan:
    return TimeSpan(start_ns=ns(start_s), end_ns=ns(start_s + duration_s))


def disk_bytes(root: Path) -> int:
    """For every file and folder the larger of its size and its blocks."""
    stats = [path.stat() for path in (root, *root.rglob("*"))]
    return sum(max(found.st_size, found.st_blocks * 512) for found in stats)


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


def quantiles_ms(seconds: list[float]) -> tuple[float, float]:
    """p50 and p99 in milliseconds."""
    ranked = statistics.quantiles(seconds, n=100)
    return round(1000 * ranked[49], 2), round(1000 * ranked[98], 2)


def main() -> None:
    args = arguments(
        __doc__,
        days={"type": float, "default": 30.0, "help": "days of stream"},
        minutes={"type": float, "default": 20.0, "help": "wall time after which the run ends"},
        max_bytes={"type": int, "default": 100_000_000, "help": "the budget"},
    )
    path: Path = args.work / "soak.memory"
    shutil.rmtree(path, ignore_errors=True)
    rng, clock = np.random.default_rng(7), ManualClock()
    config = MemoryConfig(max_bytes=args.max_bytes)
    encoder = WordVectors()
    started = time.perf_counter()
    write_s: list[float] = []
    search_s: list[float] = []
    resident: list[tuple[float, int]] = []
    most, simulated_s = 0, 0
    with (
        Memory.open(path, text_encoder=encoder, mode="w", config=config, clock=clock) as memory,
        Memory.open(path, text_encoder=encoder, config=config) as reader,
    ):
        memory.write(
            [StreamStart(stream_id=STREAM, uri="soak:", live=True, has_video=True, has_audio=True, wall_anchor_ns=0)]
        )
        for items in batches(rng, args.days):
            before = time.perf_counter()
            memory.write(items)
            write_s.append(time.perf_counter() - before)
            clock.advance(BATCH_S)
            simulated_s += BATCH_S
            if simulated_s % ASK_EVERY_S == 0:
                most = max(most, disk_bytes(path))
                before = time.perf_counter()
                reader.search(Query(text=f"scene {rng.integers(NUM_SCENES)} word{rng.integers(5_000)}", k=10))
                search_s.append(time.perf_counter() - before)
                resident.append((simulated_s / DAY_S, resident_bytes()))
            if simulated_s % (DAY_S // 4) == 0:
                progress(f"day {simulated_s / DAY_S:.2f}: {most / 1e6:.1f} MB, {resident[-1][1] / 1e6:.0f} MB resident")
            if time.perf_counter() - started > 60 * args.minutes:
                break
        levels = [event.level for event in reader.timeline()]
    with closing(sqlite3.connect(path / "memory.sqlite")) as db:
        (holes,) = db.execute("SELECT 1.0 * sum(unused) / sum(pgsize) FROM dbstat").fetchone()
    days = simulated_s / DAY_S
    late = [(day, number) for day, number in resident if day >= 2]
    slope = float(np.polyfit(*zip(*late, strict=True), 1)[0]) if days >= 3 else None
    (write_p50, write_p99), (search_p50, search_p99) = quantiles_ms(write_s), quantiles_ms(search_s)
    figures = {
        "days": round(days, 2), "days_asked": args.days, "max_bytes": args.max_bytes,
        "disk_over_budget": round(most / args.max_bytes, 4),
        "holes": round(holes, 3),
        "resident_slope_bytes_per_day": None if slope is None else round(slope),
        "write_p50_ms": write_p50, "write_p99_ms": write_p99, "write_max_ms": round(1000 * max(write_s), 1),
        "search_p50_ms": search_p50, "search_p99_ms": search_p99,
        "events_by_level": {str(level): levels.count(level) for level in sorted(set(levels))},
        "wall_s": round(time.perf_counter() - started),
    }  # fmt: skip
    rows = [
        ("stream", f"{days:.2f} days of {args.days:g} asked for, {round(simulated_s)} moments"),
        ("disk at most", f"{100 * most / args.max_bytes:.1f} % of {args.max_bytes / 1e6:g} MB"),
        ("holes in the database", f"{100 * holes:.1f} %"),
        ("RAM", "too short a run" if slope is None else f"{slope / 1e6:+.2f} MB a day after the second"),
        ("write of 10 s, p50 / p99 / max", f"{write_p50} / {write_p99} / {figures['write_max_ms']} ms"),
        ("search, p50 / p99", f"{search_p50} / {search_p99} ms"),
        ("events by level", str(figures["events_by_level"])),
    ]
    publish("soak", "Soak: weeks on a manual clock", table(("what", "measured"), rows), figures, args.json)


if __name__ == "__main__":
    main()
