"""From a thousand to a million remembered texts: writing, searching, opening again.

    python benchmarks/scale.py [--events 1000,10000,100000,1000000] [--peers [NAMES]] [--peer-python PYTHON] [--json]

Rows and questions are made (see scale_world.py); no model runs, its vectors come from a table. All rows go through
`Memory.write` with the default durability (fsync for each call). What an earlier run
filled is used again and what it measured stays in the table (`--fresh`: nothing is), so sizes can be run one by one.

- append: `Memory.write` of one row to a stream that was written to before (`first`: since the memory was opened it was
  not); batch: of 1,000 rows;
- dense: a question none of whose words are known; lexical: the vector's weight is 0; hybrid: the defaults.
  `filtered`: the same within one stream and a tenth of the time;
- recall@10 of dense is measured twice: against an exact scan of the float32 vectors (context switched off, as a
  scan knows none), and, as of hybrid, against this memory's own full scan (`exact_rows` and `max_postings`
  without bound) with the defaults.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.report import arguments, progress, publish, table
from benchmarks.scale_stores import STORES, exact_best, quantiles, timed
from benchmarks.scale_world import STEP_S, World
from reverie.memory import Memory, MemoryConfig, SearchConfig
from reverie.memory.anchors import anchor_texts
from reverie.types import Hit, Modality, Observation, Query, TimeSpan, ns

BATCH, NUM_APPENDS, NUM_QUESTIONS, NUM_WORDED, NUM_COMPARED = 1000, 200, 200, 100, 20
FULL = {"exact_rows": 10**9, "max_postings": 10**9}
CHROMA_MOST = 100_000
NOTES = """A model's time is left out everywhere: vectors are given. Equal durability is not to be had: reverie and bare
SQLite + faiss sync every append (fsync of the log); Chroma commits to SQLite with its own settings and writes its graph
later; LanceDB writes a new file for each append and does not sync it. RAM is what a process grows by: reverie's by a
reader that opened and searched, the others' at its peak, while they filled. A peer's dense search knows no filter, no
words and no context, and its hit is a row number; reverie's is a passage with its event, words and key frame."""
HEADINGS = (
    "events", "append p50 / p99 (first) ms", "batch rows/s", "dense p50 / p99 ms", "filtered", "lexical", "hybrid",
    "recall@10 dense (float / own scan)", "hybrid", "reopen s", "RAM MB", "disk MB",
)  # fmt: skip
PEER_HEADINGS = (
    "store", "events", "append p50 / p99 ms", "batch rows/s", "dense p50 / p99 ms", "recall@10", "reopen s", "RAM MB",
    "disk MB",
)  # fmt: skip


class Table:
    """A `TextEncoder` whose vectors are given beforehand."""

    encoder_id = "made-384"

    def __init__(self) -> None:
        self.vectors: dict[str, np.ndarray] = {}

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        return np.stack([self.vectors[text] for text in texts])


def observations(world: World, rows: range, encoder: Table) -> list[Observation]:
    texts = [world.text(row) for row in rows]
    encoder.vectors = dict(zip(texts, world.vectors[rows.start : rows.stop], strict=True))
    encoder.vectors |= dict.fromkeys(anchor_texts(), world.vectors[0])  # of no use here, but embedded
    return [
        Observation(
            stream_id=world.stream(row), seq=row, modality=Modality.SPEECH, text=text,
            span=TimeSpan(start_ns=ns(world.start_s(row)), end_ns=ns(world.start_s(row) + STEP_S - 1)),
        )
        for row, text in zip(rows, texts, strict=True)
    ]  # fmt: skip


def config(**search: Any) -> MemoryConfig:
    return MemoryConfig(max_bytes=64 << 30, search=SearchConfig(**search))


def fill(world: World, num_rows: int, folder: Path) -> dict[str, Any]:
    """Write all rows in batches."""
    encoder = Table()
    shutil.rmtree(folder, ignore_errors=True)
    with Memory.open(folder, text_encoder=encoder, mode="w", config=config()) as memory:
        batch_s = 0.0
        for start in range(0, num_rows, BATCH):
            items = observations(world, range(start, min(start + BATCH, num_rows)), encoder)
            started = time.perf_counter()
            memory.write(items)
            batch_s += time.perf_counter() - started
            if start % 100_000 == 0:
                progress(f"{start} of {num_rows} rows written")
    return {"batch_rows_s": round(num_rows / batch_s)}


def append(folder: Path) -> dict[str, Any]:
    """Milliseconds of writes of one row each, after all that is there; each stream's first one apart."""
    encoder, world = Table(), World(NUM_APPENDS + 8 * 16, seed=99)
    with Memory.open(folder, text_encoder=encoder, mode="w", config=config()) as memory:
        end_ns = max(record.watched.end_ns for record in memory.streams()) + ns(600)
        calls = []
        for row in range(world.num_rows):
            (item,) = observations(world, range(row, row + 1), encoder)
            start_ns = item.span.start_ns + end_ns
            moved = replace(item, seq=start_ns, span=TimeSpan(start_ns=start_ns, end_ns=start_ns + ns(3)))

            def write(item: Observation = moved, vector: np.ndarray = world.vectors[row]) -> None:
                encoder.vectors |= {item.text: vector}
                memory.write([item])

            calls.append(write)
        spent_ms = timed(calls)
    return {"append_first_ms": round(max(spent_ms[:128]), 1), "append_ms": quantiles(spent_ms[128:])}


def read(world: World, num_rows: int, folder: Path) -> dict[str, Any]:
    """Ask a memory that was just opened."""
    encoder, questions = Table(), world.questions(NUM_QUESTIONS)
    vectors = {f"zz{number}": vector for number, (_, _, vector) in enumerate(questions)}
    dense = [Query(text=name, k=10) for name in vectors]
    worded = [Query(text=words, k=10) for _, words, _ in questions]
    encoder.vectors = vectors | {words: vector for _, words, vector in questions}
    span = TimeSpan(start_ns=0, end_ns=ns(world.start_s(num_rows) / 10))
    filtered = [Query(text=query.text, k=10, span=span, stream_ids=("s3",)) for query in dense]
    before_mb, started = resident_mb(), time.perf_counter()
    found: dict[str, Any] = {}
    with Memory.open(folder, text_encoder=encoder, config=config()) as memory:
        memory.search(dense[0])
        found["reopen_s"] = round(time.perf_counter() - started, 2)
        for name, queries in (("dense", dense), ("filtered", filtered), ("hybrid", worded[:NUM_WORDED])):
            found[f"{name}_ms"] = asked(memory, queries)
        found["ram_mb"] = resident_mb() - before_mb
        with sharing(memory, text_dense_weight=0.0):
            found["lexical_ms"] = quantiles(
                timed([lambda query=query: memory.search(query) for query in worded[:NUM_WORDED]])
            )
        with sharing(memory, context_dense_share=0.0):
            own = [[world_row(world, hit) for hit in memory.search(query)] for query in dense]
        found["compared"] = {
            name: [keys(memory.search(query)) for query in queries[:NUM_COMPARED]]
            for name, queries in (("dense", dense), ("hybrid", worded))
        }
        with sharing(memory, **FULL):
            for name, queries in (("dense", dense), ("hybrid", worded)):
                full = [keys(memory.search(query)) for query in queries[:NUM_COMPARED]]
                found[f"recall_{name}_scan"] = recall(found["compared"][name], full)
    del found["compared"]
    truth = exact_best(world.vectors[:num_rows], np.stack(list(vectors.values())))
    found["recall_dense_float"] = recall(own, truth)
    return found


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


def reverie(num_rows: int, work: Path, fresh: bool) -> dict[str, Any]:
    """Fill (or take what was filled), append, and read in a process of its own."""
    folder, note = work / f"scale_{num_rows}.memory", work / f"scale_{num_rows}.json"
    world = World(num_rows)
    if fresh or not note.exists():
        note.unlink(missing_ok=True)
        note.write_text(json.dumps(fill(world, num_rows, folder)))
    figures = json.loads(note.read_text()) | append(folder)
    command = [sys.executable, __file__, "--reader", str(num_rows), "--work", str(work), "--json"]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    figures |= json.loads(done.stdout.splitlines()[-1])
    figures["disk_mb"] = round(sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) / 2**20, 1)
    return figures


def peer(name: str, num_rows: int, work: Path, python: str) -> dict[str, Any]:
    script = Path(__file__).with_name("scale_stores.py")
    folder = work / "scale_peer"
    done = subprocess.run([python, str(script), name, str(num_rows), str(folder)], capture_output=True, text=True)
    shutil.rmtree(folder, ignore_errors=True)
    if done.returncode:
        return {"error": done.stderr.strip().splitlines()[-1][:120]}
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def pair(figures: dict[str, Any], name: str) -> str:
    return f"{figures[name]['p50']:.1f} / {figures[name]['p99']:.1f}"


def own_row(num_rows: int, own: dict[str, Any]) -> list[object]:
    return [
        f"{num_rows:,}", f"{pair(own, 'append_ms')} ({own['append_first_ms']})", own["batch_rows_s"],
        pair(own, "dense_ms"), pair(own, "filtered_ms"),
        pair(own, "lexical_ms"), pair(own, "hybrid_ms"), f"{own['recall_dense_float']} / {own['recall_dense_scan']}",
        own["recall_hybrid_scan"], own["reopen_s"], own["ram_mb"], own["disk_mb"],
    ]  # fmt: skip


def peer_row(name: str, num_rows: int, own: dict[str, Any]) -> list[object]:
    if "error" in own:
        return [name, f"{num_rows:,}", own["error"], *[""] * 6]
    return [
        name, f"{num_rows:,}", pair(own, "append_ms"), own["batch_rows_s"], pair(own, "dense_ms"),
        own["recall_at_10"], own["reopen_s"], own["peak_ram_mb"], own["disk_mb"],
    ]  # fmt: skip


def main() -> None:
    args = arguments(
        __doc__,
        events={"default": "1000,10000,100000,1000000", "help": "sizes, with commas between"},
        peers={
            "nargs": "?",
            "const": ",".join(STORES),
            "default": "",
            "help": "other stores: all, or some",
        },
        peer_python={"default": sys.executable, "help": "a Python with faiss, chromadb, lancedb"},
        fresh={"action": "store_true", "help": "fill anew what an earlier run filled"},
        reader={"type": int, "help": "used by this script itself: read a filled memory of this size"},
    )
    if args.reader:
        folder = args.work / f"scale_{args.reader}.memory"
        print(json.dumps(read(World(args.reader), args.reader, folder)))
        return
    held = args.work / "scale_figures.json"
    figures: dict[str, Any] = json.loads(held.read_text()) if held.exists() and not args.fresh else {}

    def keep(store: str, size: int, own: dict[str, Any]) -> None:
        figures.setdefault(store, {})[str(size)] = own
        held.write_text(json.dumps(figures))
        progress(f"{store}, {size} rows: {json.dumps(own)}")

    sizes = [int(size) for size in args.events.split(",") if size]
    for size in sizes:
        progress(f"reverie, {size} rows")
        keep("reverie", size, reverie(size, args.work, args.fresh))
    for name in args.peers.split(",") if args.peers else ():
        for size in sizes:
            if name != "chroma" or size <= CHROMA_MOST:
                progress(f"{name}, {size} rows")
                keep(name, size, peer(name, size, args.work, args.peer_python))

    def rows_of(store: str) -> list[tuple[int, dict[str, Any]]]:
        return sorted((int(size), own) for size, own in figures.get(store, {}).items())

    body = table(HEADINGS, [own_row(size, own) for size, own in rows_of("reverie")])
    rows = [peer_row(store, size, own) for store in STORES for size, own in rows_of(store)]
    body += "\n\n" + table(PEER_HEADINGS, rows) if rows else ""
    publish("scale", "A thousand to a million remembered texts", f"{body}\n\n{NOTES}", figures, args.json)


if __name__ == "__main__":
    main()
