"""From a thousand to a million remembered texts, and as many pictures: writing, searching, opening again.

    python benchmarks/scale.py [--events 1000,10000,100000,1000000] [--kinds texts,pictures] [--switch SIZES]
        [--peers [NAMES]] [--peer-python PYTHON] [--json]

Rows and questions are made (see scale_world.py, scale_own.py); no model runs, its vectors come from a table. All rows
go through `Memory.write` with the default durability (fsync for each call). What an earlier run filled is used again,
and what it measured stays in the table (`--fresh`: nothing is), so sizes can be run one by one.

- append: `Memory.write` of one row to a stream that was written to before (`first`: since the memory was opened it was
  not); batch: of 1,000 rows;
- dense: a question none of whose words are known; lexical: the vector's weight is 0; hybrid: the defaults. A question
  about pictures names its topic's label and one that every second picture bears. `filtered`: the same within one
  stream and a tenth of the time;
- recall@10 of dense is measured twice: against an exact scan of the float32 vectors (context, runs of pictures and
  copies switched off, as a scan knows none), and, as of hybrid, against this memory's own full scan (`exact_rows` and
  `max_postings` without bound) with the defaults;
- the switch: CPU time of the full scan and of the shortlist on the same memory, each question by both in turn.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.report import arguments, progress, publish, table
from benchmarks.scale_own import KINDS, Kind, append, fill, read, switch
from benchmarks.scale_stores import STORES
from benchmarks.scale_world import World

CHROMA_MOST = 100_000
NOTES = """A model's time is left out everywhere: vectors are given. Equal durability is not to be had: reverie and bare
SQLite + faiss sync every append (fsync of the log); Chroma commits to SQLite with its own settings and writes its graph
later; LanceDB writes a new file for each append and does not sync it. RAM is what a process grows by: reverie's by a
reader that opened and searched, the others' at its peak, while they filled. A peer's dense search knows no filter, no
words and no context, and its hit is a row number; reverie's is a passage with its event, words and key frame."""
SWITCH_SIZES = "10000,20000,35000,50000,75000,100000"
MEASURED = ("dense", "lexical", "hybrid")
HEADINGS = (
    "append p50 / p99 (first) ms", "batch rows/s", "dense p50 / p99 ms", "filtered", "lexical", "filtered", "hybrid",
    "filtered", "recall@10 dense (float / own scan)", "hybrid", "reopen s", "RAM MB", "disk MB",
)  # fmt: skip
SWITCH_HEADINGS = ("rows", "", "dense: scan, CPU ms p50", "shortlist", "hybrid: scan", "shortlist")
PEER_HEADINGS = (
    "store", "events", "append p50 / p99 ms", "batch rows/s", "dense p50 / p99 ms", "recall@10", "reopen s", "RAM MB",
    "disk MB",
)  # fmt: skip


def reverie(num_rows: int, kind: Kind, work: Path, fresh: bool) -> dict[str, Any]:
    """Fill (or take what was filled), append, and read in a process of its own."""
    folder = folder_of(work, kind, num_rows)
    note, world = folder.with_suffix(".json"), World(num_rows)
    if fresh or not note.exists():
        note.unlink(missing_ok=True)
        note.write_text(json.dumps(fill(world, range(num_rows), folder, kind)))
    figures = json.loads(note.read_text()) | append(folder, kind)
    command = [sys.executable, __file__, "--reader", str(num_rows), "--kinds", kind, "--work", str(work), "--json"]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    figures |= json.loads(done.stdout.splitlines()[-1])
    figures["disk_mb"] = round(sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) / 2**20, 1)
    return figures


def folder_of(work: Path, kind: Kind, num_rows: int) -> Path:
    return work / f"scale_{kind}_{num_rows}.memory"


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
    searches = [pair(own, f"{name}{within}_ms") for name in MEASURED for within in ("", "_filtered")]
    return [
        f"{num_rows:,}", f"{pair(own, 'append_ms')} ({own['append_first_ms']})", own["batch_rows_s"], *searches,
        f"{own['recall_dense_float']} / {own['recall_dense_scan']}", own["recall_hybrid_scan"],
        own["reopen_s"], own["ram_mb"], own["disk_mb"],
    ]  # fmt: skip


def switch_row(size: str, kind: str, own: dict[str, float]) -> list[object]:
    times = [own[f"{name}_{way}_ms"] for name in ("dense", "hybrid") for way in ("scan", "shortlist")]
    return [f"{int(size):,}", kind, *times]


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
        kinds={"default": ",".join(KINDS), "help": "texts, pictures or both"},
        switch={"default": SWITCH_SIZES, "help": "sizes at which the full scan and the shortlist are compared"},
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
    kinds = [kind for kind in KINDS if kind in args.kinds.split(",")]
    if args.reader:
        folder = folder_of(args.work, kinds[0], args.reader)
        print(json.dumps(read(World(args.reader), args.reader, folder, kinds[0])))
        return
    held = args.work / "scale_figures.json"
    figures: dict[str, Any] = json.loads(held.read_text()) if held.exists() and not args.fresh else {}

    def keep(store: str, size: str, own: dict[str, Any]) -> None:
        figures.setdefault(store, {})[size] = own
        held.write_text(json.dumps(figures))
        progress(f"{store}, {size} rows: {json.dumps(own)}")

    sizes = [int(size) for size in args.events.split(",") if size]
    for kind in kinds:
        for size in sizes:
            progress(f"reverie, {size} {kind}")
            keep(kind, str(size), reverie(size, kind, args.work, args.fresh))
        if args.switch:
            for name, own in switch(args.work, kind, [int(size) for size in args.switch.split(",")]).items():
                keep(f"switch {kind}", name, own)
    for name in args.peers.split(",") if args.peers else ():
        for size in sizes:
            if name != "chroma" or size <= CHROMA_MOST:
                progress(f"{name}, {size} rows")
                keep(name, str(size), peer(name, size, args.work, args.peer_python))

    def rows_of(store: str) -> list[tuple[int, dict[str, Any]]]:
        return sorted((int(size), own) for size, own in figures.get(store, {}).items())

    body = "\n\n".join(
        table((kind, *HEADINGS), [own_row(size, own) for size, own in rows_of(kind)])
        for kind in KINDS
        if kind in figures
    )
    rows = [switch_row(str(size), kind, own) for kind in KINDS for size, own in rows_of(f"switch {kind}")]
    body += "\n\n" + table(SWITCH_HEADINGS, rows) if rows else ""
    rows = [peer_row(store, size, own) for store in STORES for size, own in rows_of(store)]
    body += "\n\n" + table(PEER_HEADINGS, rows) if rows else ""
    publish("scale", "A thousand to a million remembered texts and pictures", f"{body}\n\n{NOTES}", figures, args.json)


if __name__ == "__main__":
    main()
