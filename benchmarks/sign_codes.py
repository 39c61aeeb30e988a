"""Who is near a question by sign codes: our scan beside faiss, the same codes, one thread each.

    pip install faiss-cpu
    python benchmarks/sign_codes.py [--rows 100000 1000000 4000000] [--json]

Codes are the signs of seeded normal vectors of 384 numbers; each question asks for the `shortlist_rows` nearest. A
question of a memory mostly has a filter (streams, senses, a span of time), so both are asked for the nearest of all and
of the tenth that passes one. faiss's binary indexes take no selector: of `IndexBinaryFlat` as many more rows are asked
for as the filter drops, and those that do not pass are dropped. `agreement`: the share of its rows that are among ours,
which are a few more: all of equal distance.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.report import arguments, progress, publish, table
from reverie.memory import SearchConfig
from reverie.memory.hamming import HammingCodes

WIDTH, QUESTIONS, SEED, BLOCK_ROWS = 384, 30, 5, 1 << 17
MOST, ONE_IN = SearchConfig().shortlist_rows, 10


def main() -> None:
    args = arguments(__doc__, rows={"type": int, "nargs": "+", "default": [100_000, 1_000_000, 4_000_000]})
    try:
        import faiss
    except ImportError:
        sys.exit("this benchmark compares with faiss: pip install faiss-cpu")
    faiss.omp_set_num_threads(1)
    figures = {str(num_rows): measured(num_rows, faiss) for num_rows in args.rows}
    rows = [
        (
            f"{int(size):,}", f"{own['ours_ms']} / {own['faiss_ms']}", f"{own['ours_ms'] / own['faiss_ms']:.2f}",
            f"{own['ours_filtered_ms']} / {own['faiss_filtered_ms']}",
            f"{own['ours_filtered_ms'] / own['faiss_filtered_ms']:.2f}", own["agreement"],
        )
        for size, own in figures.items()
    ]  # fmt: skip
    headings = ("rows", "all: ours / faiss, ms p50", "ratio", "a tenth: ours / faiss, ms p50", "ratio", "agreement")
    publish("sign_codes", "Nearest by sign codes, beside faiss", table(headings, rows), figures, args.json)


def measured(num_rows: int, faiss: Any) -> dict[str, float]:
    rng = np.random.default_rng(SEED)
    ours, theirs = HammingCodes(WIDTH), faiss.IndexBinaryFlat(WIDTH)
    codes, scales = np.empty((num_rows, WIDTH), np.int8), np.ones(num_rows, np.float32)
    for start in range(0, num_rows, BLOCK_ROWS):
        block = rng.standard_normal((min(BLOCK_ROWS, num_rows - start), WIDTH), dtype=np.float32)
        codes[start : start + BLOCK_ROWS] = np.clip(np.rint(32 * block), -127, 127)
    ours.follow(codes, scales)
    for start in range(0, num_rows, BLOCK_ROWS):
        theirs.add(ours._packed(codes[start : start + BLOCK_ROWS].astype(np.float32)).view(np.uint8))
    del codes
    kept = rng.random(num_rows) < 1 / ONE_IN
    found: dict[str, list[float]] = {"ours": [], "faiss": [], "ours_filtered": [], "faiss_filtered": []}
    agreed = []
    for query in rng.standard_normal((QUESTIONS, WIDTH), dtype=np.float32):
        asked = ours._packed(query[None]).view(np.uint8)
        seconds, _ = timed(lambda query=query: ours.nearest(query, MOST))
        found["ours"].append(seconds)
        seconds, _ = timed(lambda asked=asked: theirs.search(asked, MOST))
        found["faiss"].append(seconds)
        seconds, near = timed(lambda query=query: ours.nearest(query, MOST, kept))
        found["ours_filtered"].append(seconds)
        seconds, passing = timed(lambda asked=asked: passed(theirs, asked, kept))
        found["faiss_filtered"].append(seconds)
        agreed.append(float(np.isin(passing, near).mean()))
    progress(f"{num_rows} rows: {found['ours'][-1]:.4f} s, faiss {found['faiss'][-1]:.4f} s")
    made = {f"{name}_ms": round(1000 * statistics.median(seconds), 2) for name, seconds in found.items()}
    return {**made, "agreement": round(float(np.mean(agreed)), 3)}


def passed(index: Any, asked: np.ndarray, kept: np.ndarray) -> np.ndarray:
    """Of the nearest rows, ONE_IN times as many as are wanted, those that pass the filter."""
    rows = index.search(asked, min(MOST * ONE_IN, index.ntotal))[1][0]
    return rows[kept[rows]][:MOST]


def timed(call: Callable[[], Any]) -> tuple[float, Any]:
    before = time.perf_counter()
    result = call()
    return time.perf_counter() - before, result


if __name__ == "__main__":
    main()
