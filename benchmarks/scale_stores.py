"""The stores that `scale.py` compares with, each in a process of its own: peers may live in another environment.

    PYTHON benchmarks/scale_stores.py NAME NUM_ROWS FOLDER

Prints one JSON object. Every store keeps the vector, the text, the stream and the time of each row.

- `sqlite+faiss`: a table in SQLite (WAL, synchronous=FULL: one fsync for each append), float32 vectors as BLOBs,
  FTS5, and faiss.IndexFlatIP in RAM, read back from the table when opened;
- `chroma`: PersistentClient, HNSW with its defaults (cosine). An append is committed to SQLite with Chroma's own
  settings; the graph's files are written later and brought up to date from the rows;
- `lancedb`: a table on the local disk, flat (exact) search; each append is a new file, which is not synced.
"""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.scale_world import WIDTH, World

NUM_APPENDS, NUM_QUESTIONS, BATCH = 100, 100, 1000
MISSING = "not installed"


class SqliteFaiss:
    def __init__(self, folder: Path) -> None:
        import faiss

        faiss.omp_set_num_threads(2)
        self._db = sqlite3.connect(folder / "rows.sqlite", isolation_level=None)
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = FULL")
        self._db.execute("CREATE TABLE IF NOT EXISTS row (id INTEGER PRIMARY KEY, stream, start, text, vector BLOB)")
        self._db.execute("CREATE VIRTUAL TABLE IF NOT EXISTS words USING fts5(text, content='row', content_rowid='id')")
        self._index = faiss.IndexFlatIP(WIDTH)
        stored = self._db.execute("SELECT vector FROM row ORDER BY id")
        while part := stored.fetchmany(10_000):
            self._index.add(np.frombuffer(b"".join(v for (v,) in part), np.float32).reshape(-1, WIDTH))

    def add(self, first: int, streams: list[str], starts: list[float], texts: list[str], vectors: np.ndarray) -> None:
        self._db.execute("BEGIN")
        for place, vector in enumerate(vectors):
            row = (first + place, streams[place], starts[place], texts[place], vector.tobytes())
            self._db.execute("INSERT INTO row VALUES (?, ?, ?, ?, ?)", row)
            self._db.execute("INSERT INTO words (rowid, text) VALUES (?, ?)", (first + place, texts[place]))
        self._db.execute("COMMIT")
        self._index.add(vectors)

    def nearest(self, vector: np.ndarray) -> list[int]:
        _, found = self._index.search(vector[None], 10)
        return [row for row in found[0].tolist() if self._db.execute("SELECT text FROM row WHERE id = ?", (row,))]


class Chroma:
    def __init__(self, folder: Path) -> None:
        import chromadb
        from chromadb.config import Settings

        client = chromadb.PersistentClient(str(folder), settings=Settings(anonymized_telemetry=False))
        self._rows = client.get_or_create_collection("rows", metadata={"hnsw:space": "cosine"}, embedding_function=None)

    def add(self, first: int, streams: list[str], starts: list[float], texts: list[str], vectors: np.ndarray) -> None:
        self._rows.add(
            ids=[str(first + place) for place in range(len(vectors))],
            embeddings=vectors,
            documents=texts,
            metadatas=[{"stream": s, "start": t} for s, t in zip(streams, starts, strict=True)],
        )

    def nearest(self, vector: np.ndarray) -> list[int]:
        found = self._rows.query(query_embeddings=vector[None], n_results=10)
        return [int(row) for row in found["ids"][0]]


class Lance:
    def __init__(self, folder: Path) -> None:
        import lancedb
        import pyarrow as pa

        self._pa, self._db = pa, lancedb.connect(str(folder))
        self._schema = pa.schema([
            ("id", pa.int64()), ("stream", pa.string()), ("start", pa.float64()), ("text", pa.string()),
            ("vector", pa.list_(pa.float32(), WIDTH)),
        ])  # fmt: skip
        self._table = self._db.create_table("rows", schema=self._schema, exist_ok=True)

    def add(self, first: int, streams: list[str], starts: list[float], texts: list[str], vectors: np.ndarray) -> None:
        flat = self._pa.array(vectors.reshape(-1))
        columns = [
            self._pa.array(range(first, first + len(vectors))), self._pa.array(streams), self._pa.array(starts),
            self._pa.array(texts), self._pa.FixedSizeListArray.from_arrays(flat, WIDTH),
        ]  # fmt: skip
        self._table.add(self._pa.table(columns, schema=self._schema))

    def nearest(self, vector: np.ndarray) -> list[int]:
        found = self._table.search(vector).distance_type("cosine").limit(10).to_arrow()
        return [int(row) for row in found["id"].to_pylist()]


STORES: dict[str, Callable[[Path], Any]] = {"sqlite+faiss": SqliteFaiss, "chroma": Chroma, "lancedb": Lance}


def measure(name: str, num_rows: int, folder: Path) -> dict[str, Any]:
    """Fill a new store, append one by one, ask, open again."""
    world = World(num_rows + NUM_APPENDS)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        store = STORES[name](folder)
    except ImportError:
        return {"error": MISSING}

    def add(rows: range) -> None:
        texts, streams = [world.text(row) for row in rows], [world.stream(row) for row in rows]
        store.add(
            rows.start, streams, [world.start_s(row) for row in rows], texts, world.vectors[rows.start : rows.stop]
        )

    batch = BATCH if name != "lancedb" else 10 * BATCH  # a version of the table each
    started = time.perf_counter()
    for start in range(0, num_rows, batch):
        add(range(start, min(start + batch, num_rows)))
    fill_s = time.perf_counter() - started
    append_ms = timed([lambda row=row: add(range(row, row + 1)) for row in range(num_rows, num_rows + NUM_APPENDS)])
    questions = world.questions(NUM_QUESTIONS)
    found: list[list[int]] = []
    store.nearest(questions[0][2])
    dense_ms = timed([lambda v=vector: found.append(store.nearest(v)) for _, _, vector in questions])
    truth = exact_best(world.vectors, np.stack([vector for _, _, vector in questions]))
    recall = np.mean([len(set(own) & set(best)) / 10 for own, best in zip(found, truth, strict=True)])
    del store
    started = time.perf_counter()
    if name != "chroma":  # its client is kept by path within one process
        STORES[name](folder).nearest(questions[0][2])
    reopen_s = time.perf_counter() - started
    num_bytes = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    return {
        "append_ms": quantiles(append_ms),
        "batch_rows_s": round(num_rows / fill_s),
        "dense_ms": quantiles(dense_ms),
        "recall_at_10": round(float(recall), 3),
        "reopen_s": round(reopen_s, 2) if name != "chroma" else None,
        "peak_ram_mb": peak_mb() - world.vectors.nbytes // 2**20,
        "disk_mb": round(num_bytes / 2**20, 1),
    }


def peak_mb() -> int:
    """The most that this process held. (`ru_maxrss` starts at what the process that started it held.)"""
    (line,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) // 1024


def timed(calls: list[Callable[[], Any]]) -> list[float]:
    """Milliseconds of each call."""
    found = []
    for call in calls:
        started = time.perf_counter()
        call()
        found.append(1000 * (time.perf_counter() - started))
    return found


def quantiles(values: list[float]) -> dict[str, float]:
    return {"p50": round(float(np.quantile(values, 0.5)), 2), "p99": round(float(np.quantile(values, 0.99)), 2)}


def exact_best(vectors: np.ndarray, queries: np.ndarray) -> list[list[int]]:
    """Rows of the 10 highest cosines of each query, by float32."""
    best = np.full((len(queries), 10), -2, np.float32)
    rows = np.zeros((len(queries), 10), np.int64)
    for start in range(0, len(vectors), 65_536):
        cosines = queries @ vectors[start : start + 65_536].T
        both = np.concatenate([best, cosines], axis=1)
        numbers = np.concatenate([rows, np.broadcast_to(np.arange(start, start + cosines.shape[1]), cosines.shape)], 1)
        top = np.argpartition(-both, 9, axis=1)[:, :10]
        best, rows = np.take_along_axis(both, top, 1), np.take_along_axis(numbers, top, 1)
    return rows.tolist()


if __name__ == "__main__":
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    print(json.dumps(measure(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]))))
