"""What `scale.py` does with reverie's own memory: fills one with texts or with pictures, appends, asks.

Pictures have the world's vectors and two names each: their topic's, of a thousand, and one that every second bears. The
ramp of their cosines is wider than the default, because made vectors come nearer to questions than pictures do.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from benchmarks.report import progress
from benchmarks.scale_stores import exact_best, quantiles, timed
from benchmarks.scale_world import STEP_S, WIDTH, World
from reverie.memory import Memory, MemoryConfig, SearchConfig
from reverie.memory.anchors import anchor_texts
from reverie.types import Hit, Label, Modality, Observation, Query, TimeSpan, ns

Kind = Literal["texts", "pictures"]
KINDS: tuple[Kind, ...] = ("texts", "pictures")
BATCH, NUM_APPENDS, NUM_QUESTIONS, NUM_WORDED, NUM_COMPARED = 1000, 200, 200, 100, 20
NUM_NAMES, COMMON = 1000, ("indoors", "outdoors")
FULL = {"exact_rows": 10**9, "max_postings": 10**9}
ALONE = {"texts": {"context_dense_share": 0.0}, "pictures": {"run_share": 1.0}}  # a scan knows no context and no runs


class Table:
    """A `TextEncoder` whose vectors are given beforehand."""

    encoder_id = "made-384"

    def __init__(self) -> None:
        self.vectors: dict[str, np.ndarray] = {}

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        return np.stack([self.vectors[text] for text in texts])


def observations(world: World, rows: range, encoder: Table, kind: Kind) -> list[Observation]:
    vectors = world.vectors[rows.start : rows.stop]
    encoder.vectors = dict.fromkeys(anchor_texts(), world.vectors[0])  # of no use here, but embedded
    if kind == "pictures":
        encoder.vectors |= named()
        return [picture(world, row, vector) for row, vector in zip(rows, vectors, strict=True)]
    texts = [world.text(row) for row in rows]
    encoder.vectors |= dict(zip(texts, vectors, strict=True))
    return [
        Observation(stream_id=world.stream(row), seq=row, modality=Modality.SPEECH, text=text, span=span_of(world, row))
        for row, text in zip(rows, texts, strict=True)
    ]


def picture(world: World, row: int, vector: np.ndarray) -> Observation:
    scores = np.random.default_rng(row).uniform(0.05, 0.9, 2).tolist()
    names = (name_of(world, row), COMMON[row % 2])
    labels = tuple(Label(name=name, score=score) for name, score in zip(names, scores, strict=True))
    return Observation(
        stream_id=world.stream(row), seq=row, modality=Modality.VISION, span=span_of(world, row), embedding=vector,
        encoder=Table.encoder_id, labels=labels,
    )  # fmt: skip


def span_of(world: World, row: int) -> TimeSpan:
    return TimeSpan(start_ns=ns(world.start_s(row)), end_ns=ns(world.start_s(row) + STEP_S - 1))


def name_of(world: World, row: int) -> str:
    return f"n{world.topics[row] % NUM_NAMES}"


def named() -> dict[str, np.ndarray]:
    """Vectors of the names, far from those of pictures and questions."""
    names = [*COMMON, *(f"n{number}" for number in range(NUM_NAMES))]
    vectors = np.random.default_rng(8).standard_normal((len(names), WIDTH), dtype=np.float32)
    return dict(zip(names, vectors / np.linalg.norm(vectors, axis=1, keepdims=True), strict=True))


def config(**search: Any) -> MemoryConfig:
    search = {"picture_cosine_range": (0.2, 0.9)} | search
    return MemoryConfig(max_bytes=64 << 30, search=SearchConfig(**search))


def fill(world: World, rows: range, folder: Path, kind: Kind) -> dict[str, Any]:
    """Write rows in batches; from 0: to a new memory."""
    encoder = Table()
    if not rows.start:
        shutil.rmtree(folder, ignore_errors=True)
    with Memory.open(folder, text_encoder=encoder, mode="w", config=config()) as memory:
        batch_s = 0.0
        for start in range(rows.start, rows.stop, BATCH):
            items = observations(world, range(start, min(start + BATCH, rows.stop)), encoder, kind)
            started = time.perf_counter()
            memory.write(items)
            batch_s += time.perf_counter() - started
            if start % 100_000 == 0:
                progress(f"{start} of {rows.stop} {kind} written")
    return {"batch_rows_s": round(len(rows) / batch_s)}


def append(folder: Path, kind: Kind) -> dict[str, Any]:
    """Milliseconds of writes of one row each, after all that is there; each stream's first one apart."""
    encoder, world = Table(), World(NUM_APPENDS + 8 * 16, seed=99)
    with Memory.open(folder, text_encoder=encoder, mode="w", config=config()) as memory:
        end_ns = max(record.watched.end_ns for record in memory.streams()) + ns(600)
        calls = []
        for row in range(world.num_rows):
            (item,) = observations(world, range(row, row + 1), encoder, kind)
            start_ns = item.span.start_ns + end_ns
            moved = replace(item, seq=start_ns, span=TimeSpan(start_ns=start_ns, end_ns=start_ns + ns(3)))

            def write(item: Observation = moved, vector: np.ndarray = world.vectors[row]) -> None:
                encoder.vectors |= {item.text or "": vector}
                memory.write([item])

            calls.append(write)
        spent_ms = timed(calls)
    return {"append_first_ms": round(max(spent_ms[:128]), 1), "append_ms": quantiles(spent_ms[128:])}


def questions(world: World, kind: Kind) -> tuple[list[str], dict[str, np.ndarray]]:
    """Questions in words, and the vectors of those and of as many whose words nobody knows (zz0, zz1, ...)."""
    made = world.questions(NUM_QUESTIONS)
    if kind == "texts":
        texts = [words for _, words, _ in made]
    else:
        texts = [f"{name_of(world, row)} {COMMON[number % 2]} q{number}" for number, (row, _, _) in enumerate(made)]
    vectors = {f"zz{number}": vector for number, (_, _, vector) in enumerate(made)}
    return texts, vectors | dict(zip(texts, (vector for _, _, vector in made), strict=True)) | named()


def read(world: World, num_rows: int, folder: Path, kind: Kind) -> dict[str, Any]:
    """Ask a memory that was just opened."""
    encoder = Table()
    texts, encoder.vectors = questions(world, kind)
    dense = [Query(text=f"zz{number}", k=10) for number in range(NUM_QUESTIONS)]
    worded = [Query(text=text, k=10) for text in texts[:NUM_WORDED]]
    span = TimeSpan(start_ns=0, end_ns=ns(world.start_s(num_rows) / 10))

    def within(queries: list[Query]) -> list[Query]:
        return [replace(query, span=span, stream_ids=("s3",)) for query in queries]

    before_mb, started = resident_mb(), time.perf_counter()
    found: dict[str, Any] = {}
    with Memory.open(folder, text_encoder=encoder, config=config()) as memory:
        memory.search(dense[0])
        found["reopen_s"] = round(time.perf_counter() - started, 2)
        for name, queries in (("dense", dense), ("hybrid", worded)):
            memory.search(queries[0])  # what it needs in RAM is there
            found[f"{name}_ms"], found[f"{name}_filtered_ms"] = asked(memory, queries), asked(memory, within(queries))
        found["ram_mb"] = resident_mb() - before_mb
        with sharing(memory, text_dense_weight=0.0, picture_dense_weight=0.0):
            found["lexical_ms"], found["lexical_filtered_ms"] = asked(memory, worded), asked(memory, within(worded))
        with sharing(memory, copy_share=1.0, **ALONE[kind]):
            own = [[world_row(world, hit) for hit in memory.search(query)] for query in dense]
        for name, queries in (("dense", dense), ("hybrid", worded)):
            compared = [keys(memory.search(query)) for query in queries[:NUM_COMPARED]]
            with sharing(memory, **FULL):
                full = [keys(memory.search(query)) for query in queries[:NUM_COMPARED]]
            found[f"recall_{name}_scan"] = recall(compared, full)
    truth = exact_best(world.vectors[:num_rows], np.stack([encoder.vectors[query.text] for query in dense]))
    found["recall_dense_float"] = recall(own, truth)
    return found


def switch(work: Path, kind: Kind, sizes: Sequence[int]) -> dict[str, Any]:
    """CPU milliseconds of a search by the full scan and by the shortlist in turn, while one memory grows."""
    folder, world, found, before = work / f"scale_switch_{kind}.memory", World(max(sizes)), dict[str, Any](), 0
    for size in sorted(sizes):
        fill(world, range(before, size), folder, kind)
        before, encoder = size, Table()
        texts, encoder.vectors = questions(world, kind)
        with Memory.open(folder, text_encoder=encoder, config=config()) as memory:
            rows = found[str(size)] = {}
            for name, asking in (("dense", [f"zz{number}" for number in range(60)]), ("hybrid", texts[:60])):
                spent: dict[str, list[float]] = {"scan": [], "shortlist": []}
                for text in asking:
                    for way, options in (("scan", FULL), ("shortlist", {"exact_rows": 0})):
                        with sharing(memory, **options):
                            spent[way].append(cpu_ms(lambda text=text: memory.search(Query(text=text, k=10))))
                rows |= {f"{name}_{way}_ms": round(float(np.median(taken)), 2) for way, taken in spent.items()}
        progress(f"{kind}, {size} rows: {rows}")
    return found


def cpu_ms(call: Callable[[], Any]) -> float:
    started = time.process_time()
    call()
    return 1000 * (time.process_time() - started)


def asked(memory: Memory, queries: list[Query]) -> dict[str, float]:
    """Milliseconds of a search."""
    return quantiles(timed([lambda query=query: memory.search(query) for query in queries]))


class sharing:  # reads as a word
    """Search with other options for a while, on the same columns in RAM."""

    def __init__(self, memory: Memory, **search: Any) -> None:
        self._search, self._options = memory._search, search

    def __enter__(self) -> None:
        self._held = self._search._config
        self._search._config = self._held.model_copy(update=self._options)

    def __exit__(self, *_: object) -> None:
        self._search._config = self._held


def keys(hits: list[Hit]) -> list[tuple[str, int]]:
    return [(hit.stream_id, hit.span.start_ns) for hit in hits]


def world_row(world: World, hit: Hit) -> int:
    place = round(hit.span.start_s / STEP_S)
    return place // 16 * 128 + int(hit.stream_id[1:]) * 16 + place % 16


def recall(own: list[Any], truth: list[Any]) -> float:
    shares = [len(set(a) & set(b)) / max(1, len(b)) for a, b in zip(own, truth, strict=True)]
    return round(float(np.mean(shares)), 4)


def resident_mb() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 // 2**20
