"""One composed stream under one policy: written, measured, asked. A run is kept until the package changes.

A question counts as found at k when one of the k best hits overlaps the needle's span; `tight` wants that hit to be no
longer than a minute, too. `chance` is how often the same hits overlap another needle of the stream: what long hits get
for nothing.
"""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import shutil
import subprocess
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np

from benchmarks.composed import Composed, Length, compose, in_batches
from benchmarks.composed_library import Library, load_library
from benchmarks.report import ROOT, progress
from benchmarks.stream_policies import Keep, deletion, fifo, merging, thinning
from reverie.memory import Memory, MemoryConfig, coarse_codes
from reverie.memory.search_config import SearchConfig
from reverie.memory.store import StoreConfig
from reverie.perception.minilm import MiniLM
from reverie.types import Hit, Query, TextEncoder, TimeSpan, ns

K = 10
NUM_TOLD = 44
AGES_S = {"hour": (0.0, 3600.0), "day": (3600.0, 86_400.0), "week": (86_400.0, 604_800.0), "month": (604_800.0, 2.7e6)}
NEAR_BYTES = 0.02  # of the bytes aimed at
TIGHT_NS = ns(60)
FOREVER_S = 1e9
REPLAYED = """

Observations are replayed: pictures were perceived once, what is said is text. Key frames are left out of all bytes."""
_SHIPPED = SearchConfig()
Around = Callable[[], AbstractContextManager[object]]  # what holds for a memory: a changed constant, say


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One question: ranks from 1 (0: not among the best K), and when the best hit was."""

    by: str
    literal: bool
    age_s: float
    at_s: float
    rank: int
    tight_rank: int
    chance: float
    best_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What one policy made of one stream.

    `num_bytes`: of its closed directory; `events`: (start_ns, surprise); `habits`: (age in s, found at 5).
    """

    num_bytes: int
    observations: int
    levels: dict[str, int]
    events: list[tuple[int, float]]
    asked: list[Asked]
    habits: list[tuple[float, bool]] = field(default_factory=list)


class Kept:
    """A text encoder that keeps its vectors in a file between runs."""

    def __init__(self, path: Path) -> None:
        self._path, self._encoder = path, MiniLM()
        self._known: dict[str, np.ndarray] = pickle.loads(path.read_bytes()) if path.exists() else {}
        self._saved = len(self._known)

    @property
    def encoder_id(self) -> str:
        return self._encoder.encoder_id

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        missing = [text for text in dict.fromkeys(texts) if text not in self._known]
        if missing:
            self._known.update(zip(missing, self._encoder.encode(missing), strict=True))
        return np.stack([self._known[text] for text in texts])

    def save(self) -> None:
        if len(self._known) > self._saved:
            fresh = self._path.with_suffix(f".{os.getpid()}")
            fresh.write_bytes(pickle.dumps(self._known))
            fresh.replace(self._path)  # whole, also when two runs end at once
            self._saved = len(self._known)


class Bench:
    """Composes streams, runs policies over them, and keeps what came out in the work folder."""

    def __init__(self, work: Path, data: Path | None) -> None:
        self.work = work
        self.library: Library = load_library(work, data)
        self.encoder = Kept(work / "sentences.pickle")
        tree = ["git", "rev-parse", "HEAD:reverie"]  # a run is made again when the package has changed
        self._code = subprocess.run(tree, cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()
        self._made: tuple[tuple[Length, int], Composed] | None = None

    def stream(self, length: Length, seed: int) -> Composed:
        """A month's needles are dealt out evenly among AGES_S."""
        if self._made is None or self._made[0] != (length, seed):
            bounds = [low for low, _ in AGES_S.values()] + [AGES_S["month"][1]] if length == "month" else []
            num_told = NUM_TOLD if length != "hour" else NUM_TOLD // 2
            self._made = ((length, seed), compose(self.library, length, seed, num_told, bounds))
        return self._made[1]

    def reverie(self, name: str, stream: Composed, config: MemoryConfig, around: Around = nullcontext) -> Run:
        """The whole stream under a configuration, as it would be watched."""
        return self._kept(f"{name}-{config.model_dump_json()}", stream, lambda: self._watched(stream, config, around))

    def baseline(self, name: str, stream: Composed, aim_bytes: int, whole: Run) -> Run:
        """What `name` keeps of the stream in so many bytes; `whole` is the append-only run."""
        return self._kept(
            f"{name}-{aim_bytes}", stream, lambda: self._fitted(self._keep(name, whole), stream, aim_bytes, whole)
        )

    # --- inside -------------------------------------------------------------------------------

    def _kept(self, name: str, stream: Composed, make: Callable[[], Run]) -> Run:
        digest = hashlib.sha256(f"{self._code} {name}".encode())
        digest.update(repr([(item.span, item.text) for item in stream.observations]).encode())
        path = self.work / f"run-{digest.hexdigest()[:20]}.json"
        if not path.exists():
            run = make()
            path.write_text(json.dumps(asdict(run)))
            self.encoder.save()
            progress(f"{name.split('{')[0]}: {run.num_bytes / 1e6:.2f} MB, found {found_share(run.asked, 5):.2f} at 5")
        read: dict[str, Any] = json.loads(path.read_text())
        read["asked"] = [Asked(**row) for row in read["asked"]]
        return Run(**read)

    def _path(self) -> Path:
        return self.work / f"stream-{os.getpid()}.memory"

    def _watched(self, stream: Composed, config: MemoryConfig, around: Around) -> Run:
        path = self._path()
        with around():
            _fill(path, stream, config, self.encoder)
            return self._asked(path, stream, config.search)

    def _fitted(self, keep: Keep, stream: Composed, aim_bytes: int, whole: Run) -> Run:
        """Try shares of the stream until the bytes agree."""
        path, config = self._path(), budget(None)
        tried = [(0.0, _fill(path, replace(stream, observations=()), config, self.encoder)), (1.0, whole.num_bytes)]
        for _ in range(5):
            below = max((point for point in tried if point[1] <= aim_bytes), default=tried[0])
            above = min((point for point in tried if point[1] > aim_bytes), default=tried[-1])
            share = below[0] + (above[0] - below[0]) * (aim_bytes - below[1]) / max(above[1] - below[1], 1)
            kept = replace(stream, observations=tuple(keep(stream, share)))
            tried.append((share, _fill(path, kept, config, self.encoder)))
            if abs(tried[-1][1] / aim_bytes - 1) <= NEAR_BYTES:
                break
        return self._asked(path, stream)

    def _keep(self, name: str, whole: Run) -> Keep:
        if name == "merging":
            return lambda composed, share: merging(composed, share, self.encoder)
        if name == "deletion":
            return lambda composed, share: deletion(composed, share, whole.events)
        return {"fifo": fifo, "thinning": thinning}[name]

    def _asked(self, path: Path, stream: Composed, search: SearchConfig = _SHIPPED) -> Run:
        num_bytes, config = disk_bytes(path), MemoryConfig(remember_recalls=False, search=search)
        encoders: dict[str, TextEncoder] = dict.fromkeys(_picture_encoders(stream), self.encoder)
        with Memory.open(path, text_encoder=self.encoder, query_encoders=encoders, config=config) as memory:
            asked = [row for number in range(len(stream.needles)) for row in _ask(memory, stream, number)]
            habits = [
                (habit.age_s, _first(_best(memory, habit.question, habit.day), habit.spans) in range(1, 6))
                for habit in stream.habits
            ]
            levels: dict[str, int] = {}
            for event in memory.timeline():
                levels[str(event.level)] = levels.get(str(event.level), 0) + 1
            count = sum(memory.stats().observations.values())
            events = memory._store.reader.execute("SELECT start_ns, surprise FROM event ORDER BY start_ns").fetchall()
        return Run(
            num_bytes=num_bytes, observations=count, levels=levels, events=events, asked=asked, habits=habits
        )  # fmt: skip


def budget(max_bytes: int | None) -> MemoryConfig:
    """The shipped configuration under a budget, without key frames; without a budget nothing is consolidated."""
    config = MemoryConfig(max_bytes=max_bytes, max_picture_bytes=0, store=StoreConfig(durability="normal"))
    return config if max_bytes is not None else config.model_copy(update={"consolidate_every_s": FOREVER_S})


@contextmanager
def signs() -> Iterator[None]:
    """Faded vectors by one bit a number, decoded as centre + mean |x| * (+1 or -1)."""

    def encode(vector: np.ndarray, centre: np.ndarray) -> tuple[bytes, float]:
        return np.packbits(vector >= centre).tobytes(), float(np.abs(vector - centre).mean())

    with patch.object(coarse_codes, "encode", encode):
        yield


def found_share(asked: Iterable[Asked], k: int, tight: bool = False) -> float:
    """Recall at k."""
    ranks = [row.tight_rank if tight else row.rank for row in asked]
    return sum(1 <= rank <= k for rank in ranks) / max(len(ranks), 1)


def disk_bytes(root: Path) -> int:
    return sum(path.stat().st_size for path in root.rglob("*") if path.is_file())


def _fill(path: Path, stream: Composed, config: MemoryConfig, encoder: TextEncoder) -> int:
    shutil.rmtree(path, ignore_errors=True)
    with Memory.open(path, text_encoder=encoder, mode="w", config=config) as memory:
        for items in in_batches(stream.observations, stream.sittings):
            memory.write(items)
    return disk_bytes(path)


def _picture_encoders(stream: Composed) -> set[str]:
    return {item.encoder for item in stream.observations if item.encoder}


def _ask(memory: Memory, stream: Composed, number: int) -> Iterable[Asked]:
    needle = stream.needles[number]
    others = [other.span for place, other in enumerate(stream.needles) if place != number]
    for by, question in needle.questions.items():
        best = _best(memory, question, None)
        short = [hit if hit.span.duration_ns <= TIGHT_NS else None for hit in best]
        top5 = best[:5]
        yield Asked(
            by=by, literal=needle.literal, age_s=needle.age_s, at_s=needle.span.start_s,
            rank=_first(best, (needle.span,)), tight_rank=_first(short, (needle.span,)),
            chance=sum(any(hit.span.overlaps(span) for hit in top5) for span in others) / max(len(others), 1),
            best_s=(best[0].span.start_s + best[0].span.end_s) / 2 if best else -1.0,
        )  # fmt: skip


def _best(memory: Memory, question: str, span: TimeSpan | None) -> list[Hit]:
    return sorted(memory.search(Query(text=question, k=K, span=span)), key=lambda hit: -hit.score)


def _first(hits: Sequence[Hit | None], spans: Sequence[TimeSpan]) -> int:
    """The rank of the first hit that overlaps one of the spans, 0 if none does."""
    for rank, hit in enumerate(hits, 1):
        if hit is not None and any(hit.span.overlaps(span) for span in spans):
            return rank
    return 0
