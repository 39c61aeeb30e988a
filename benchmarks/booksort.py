"""Which of two passages came first? Book-SORT (Pink et al. 2024) on a memory that has kept a small part of the books.

    python benchmarks/booksort.py --data FOLDER [--json]

FOLDER holds books/N.txt, segments_L-s20.csv and excerpts_L-s20.csv for L of 1,000 and 10,000 words. The books are heard
sentence by sentence, a stream each, side by side, through `Memory.write` with a budget that has room for about a tenth
of them. Then a book is heard on each of the days after (the same ones again, in other streams), which makes the first
ones coarser, until what is kept of them is a tenth, and then a fiftieth, of their bytes. Counted are the bytes of the
texts and summaries that are left, of all their vectors and of the filters of words; SQLite's pages and text index are
not. Each segment of 20 words is located in its excerpt by `Memory.search` where a hit has half of its words; else by
`Memory.when_said`, as the mean time weighted by probability; else as the mean time of all hits, weighted by the fourth
power of their scores. The earlier one is said to have come first; a tie is a coin's. Beside: the same without filters
(a memory of its own, taken to the same share); every n-th sentence of the books word for word, at the same bytes,
through the same search; chance; and what language models reach that have not been given the text. Book 73017 is left
out: its rows come from another book.
"""

from __future__ import annotations

import csv
import random
import re
import sqlite3
import sys
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np

from benchmarks.dialogues import temporary_folder
from benchmarks.report import arguments, progress, publish, table
from benchmarks.vector_cache import VectorCache
from reverie.memory.config import MemoryConfig
from reverie.memory.lexical import terms_of
from reverie.memory.memory import Memory
from reverie.memory.sentences import split
from reverie.perception.minilm import MiniLM
from reverie.types import EndOfStream, Item, Modality, Observation, Query, StreamStart, TextEncoder, TimeSpan, ns

LENGTHS, SHARES = (1000, 10000), (10, 50)
MISLABELLED = "73017"
WORD_S = 0.4  # 150 words a minute
UTTERANCE_WORDS = 12  # shorter sentences are said in one breath with the next
BUDGET_BYTES = 3 << 19
DAY_NS = ns(86400.0)
BATCH = 256
PLAIN = MemoryConfig(max_bytes=None, remember_recalls=False, consolidate_every_s=1e9)  # no summaries
K, POWER, SEED = 8, 4, 0
COLUMNS = {f"{length}{name}": f"{length} words{name}" for length in LENGTHS for name in ("", ", others")}
NUM_CHOSEN_ON = 2  # the first books: how large filters of words may be was chosen on them
CERTAIN = 0.5  # share of the words of a segment
FILTER_BITS = {"accuracy": 128, "without_filters": 0}  # of a minute
ROW_BYTES = 16  # of the key of a block of filters


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Two segments of an excerpt, the first of which came first. Words count from the start of the book."""

    book: str
    length: int
    start_word: int
    segments: tuple[str, str]


def load_books(folder: Path) -> dict[str, list[str]]:
    """The words of each book."""
    paths = sorted((folder / "books").glob("*.txt"))
    return {path.stem: path.read_text().split() for path in paths if path.stem != MISLABELLED}


def load_pairs(folder: Path, length: int, num_excerpts: int) -> list[Pair]:
    """The pairs of the first excerpts of each book."""

    def rows(name: str) -> Iterator[dict[str, str]]:
        with (folder / f"{name}_{length}-s20.csv").open(newline="") as lines:
            yield from csv.DictReader(lines)

    starts = {(row["book_idx"], row["excerpt_idx"]): int(row["excerpt_start_word"]) for row in rows("excerpts")}
    return [
        Pair(
            book=row["book_idx"],
            length=length,
            start_word=starts[row["book_idx"], row["excerpt_idx"]],
            segments=(row["segment_1"], row["segment_2"]),
        )
        for row in rows("segments")
        if int(row["excerpt_idx"]) < num_excerpts and row["book_idx"] != MISLABELLED
    ]


def utterances(stream: str, words: Sequence[str]) -> list[Observation]:
    """The sentences of a book as they are read aloud."""
    said: list[Observation] = []
    begin = 0
    for end in range(1, len(words) + 1):
        if end == len(words) or (end - begin >= UTTERANCE_WORDS and re.search(r"[.!?]\W*$", words[end - 1])):
            span = TimeSpan(start_ns=ns(begin * WORD_S), end_ns=ns(end * WORD_S))
            text = " ".join(words[begin:end])
            said.append(Observation(stream_id=stream, seq=len(said), span=span, modality=Modality.SPEECH, text=text))
            begin = end
    return said


def hear(memory: Memory, books: Mapping[str, Sequence[Observation]], anchor_ns: int, batch: int) -> Iterator[None]:
    """Write all books side by side, in the order of time; a step is a batch."""
    start = StreamStart(stream_id="", uri="book", live=False, has_video=False, has_audio=True, wall_anchor_ns=anchor_ns)
    memory.write([replace(start, stream_id=stream) for stream in books])
    items: list[Item] = sorted((said for book in books.values() for said in book), key=lambda s: s.span.start_ns)
    for begin in range(0, len(items), batch):
        memory.write(items[begin : begin + batch])
        yield
    memory.write([EndOfStream(stream_id=stream, pts_ns=book[-1].span.end_ns) for stream, book in books.items()])


def hear_more(memory: Memory, books: Mapping[str, Sequence[Observation]]) -> Iterator[None]:
    """The same books again, one after the other, a day each."""
    for number in count(1):
        stream = list(books)[number % len(books)]
        again = [replace(said, stream_id=f"{stream}, {number}") for said in books[stream]]
        yield from hear(memory, {again[0].stream_id: again}, number * DAY_NS, 16)


def content_bytes(root: Path, streams: Sequence[str]) -> int:
    """Of texts that are left of streams, summaries of episodes included, of their vectors, and of filters of words."""
    marks = ",".join("?" * len(streams))
    own = f"(SELECT id FROM stream WHERE name IN ({marks}))"
    rows, summaries = (
        f"(SELECT id FROM observation WHERE stream IN {own})",
        f"(SELECT id FROM episode WHERE stream IN {own})",
    )
    with closing(sqlite3.connect(root / "memory.sqlite")) as db:
        return sum(
            db.execute(sql, tuple(streams)).fetchone()[0] or 0
            for sql in (
                f"SELECT sum(length(CAST(text AS BLOB))) FROM observation WHERE stream IN {own}",
                f"SELECT sum(length(CAST(text AS BLOB))) FROM episode WHERE stream IN {own}",
                f"SELECT sum(4 + length(code)) FROM vector WHERE observation IN {rows}",
                f"SELECT sum(4 + length(code)) FROM sentence WHERE observation IN {rows}",
                f"SELECT sum(4 + length(code)) FROM episode_vector WHERE episode IN {summaries}",
                f"SELECT sum({ROW_BYTES} + length(bits)) FROM word_filter WHERE stream IN {own}",
            )
        )


def located(memory: Memory, pair: Pair, segment: str) -> float | None:
    """When a segment was heard, in seconds, as far as the memory can tell."""
    start_s = pair.start_word * WORD_S
    span = TimeSpan(start_ns=ns(start_s), end_ns=ns(start_s + pair.length * WORD_S))
    hits = memory.search(Query(text=segment, k=K, stream_ids=(pair.book,), span=span))
    words = set(terms_of(segment))
    shares = [len(words.intersection(terms_of(hit.text))) / max(len(words), 1) for hit in hits]
    if max(shares, default=0.0) >= CERTAIN:
        best = hits[shares.index(max(shares))]
        return (best.span.start_s + best.span.end_s) / 2
    sayings = memory.when_said(segment, span, (pair.book,), at_least=0.0)
    if sayings:
        middles = [(max(s.span.start_s, span.start_s) + min(s.span.end_s, span.end_s)) / 2 for s in sayings]
        total = sum(saying.probability for saying in sayings)
        return sum(s.probability * middle for s, middle in zip(sayings, middles, strict=True)) / total
    weights = [hit.score**POWER for hit in hits]
    if not sum(weights):
        return None
    return sum(w * (hit.span.start_s + hit.span.end_s) / 2 for w, hit in zip(weights, hits, strict=True)) / sum(weights)


def accuracy(memory: Memory, pairs: Sequence[Pair]) -> dict[str, float]:
    """Percent of pairs in the right order by length of excerpt, and of the books on which nothing was chosen."""
    coin, right = random.Random(SEED), list[bool]()
    for pair in pairs:
        first, second = (located(memory, pair, segment) for segment in pair.segments)
        decided = first is not None and second is not None and first != second
        right.append(first < second if decided else coin.random() < 0.5)
    chosen_on = sorted({pair.book for pair in pairs})[:NUM_CHOSEN_ON]
    return {
        f"{length}{name}": round(100 * float(np.mean(part)), 1)
        for length in LENGTHS
        for name, left_out in (("", []), (", others", chosen_on))
        if (part := [ok for ok, pair in zip(right, pairs, strict=True)
                     if pair.length == length and pair.book not in left_out])
    }  # fmt: skip


def thinned(
    books: Mapping[str, list[Observation]], num_bytes: int, encoder: TextEncoder
) -> dict[str, list[Observation]]:
    """Every n-th utterance, n being the smallest for which texts and vectors fit."""
    width = 4 + encoder.encode(["x"]).shape[1]
    sizes = [len(said.text.encode()) + width * (1 + len(split(said.text))) for book in books.values() for said in book]
    step = max(1.0, sum(sizes) / max(num_bytes, 1))
    return {
        stream: [book[int(place * step)] for place in range(int(len(book) / step))] or book[:1]
        for stream, book in books.items()
    }


def main() -> None:
    args = arguments(
        __doc__,
        excerpts={"type": int, "default": 40, "help": "excerpts of each book and length, of 110"},
        books={"type": int, "default": 8, "help": "how many books"},
    )
    words = dict(list(load_books(args.data).items())[: args.books])
    pairs = [pair for length in LENGTHS for pair in load_pairs(args.data, length, args.excerpts) if pair.book in words]
    whole = sum(len(" ".join(book).encode()) for book in words.values())
    books = {stream: utterances(stream, book) for stream, book in words.items()}
    encoder = VectorCache(MiniLM(), args.work / "booksort_vectors.npz")
    encoder.encode([said.text for book in books.values() for said in book])
    encoder.save()
    encoder.encode([segment for pair in pairs for segment in pair.segments])
    encoder.save()
    figures: dict[str, dict[str, Any]] = {f"1/{share}": {} for share in SHARES}
    for key, bits in FILTER_BITS.items():
        with temporary_folder() as folder:
            options = MemoryConfig(max_bytes=BUDGET_BYTES, remember_recalls=False, word_filter_bits=bits)
            root = Path(folder) / "heard"
            with Memory.open(root, text_encoder=encoder, mode="w", config=options) as memory:
                deque(hear(memory, books, 0, BATCH), maxlen=0)
                more, kept = hear_more(memory, books), content_bytes(root, list(books))
                progress(f"{len(pairs)} pairs, {bits} bits: {kept} bytes are kept of {whole}, 1/{whole / kept:.1f}")
                for share in SHARES:
                    while kept * share > whole:
                        next(more)
                        kept = content_bytes(root, list(books))
                    figures[f"1/{share}"] |= {key: accuracy(memory, pairs), f"{key}_share": round(kept / whole, 4)}
                    if bits:
                        thin = Path(folder) / f"thin{share}"
                        with Memory.open(thin, text_encoder=encoder, mode="w", config=PLAIN) as other_memory:
                            deque(hear(other_memory, thinned(books, kept, encoder), 0, BATCH), maxlen=0)
                            figures[f"1/{share}"]["uniform_thinning"] = accuracy(other_memory, pairs)
                        left = content_bytes(thin, list(books))
                        figures[f"1/{share}"]["uniform_thinning_share"] = round(left / whole, 4)
                    progress(f"1/{share}: {figures[f'1/{share}']}")
    rows = [
        (
            f"{name} of the bytes, {label}", *(own[key].get(column, "-") for column in COLUMNS),
            f"{own[f'{key}_share']:.4f}",
        )
        for name, own in figures.items()
        for label, key in (
            ("reverie", "accuracy"), ("without filters of words", "without_filters"),
            ("every n-th sentence", "uniform_thinning"),
        )
    ]  # fmt: skip
    rows.append(("chance", *[50.0] * len(COLUMNS), ""))
    rows.append(("language models without the text (paper)", *["below 60"] * len(COLUMNS), ""))
    body = table(("pairs in the right order, %", *COLUMNS.values(), "share kept"), rows)
    body += f"\n\n{len(pairs)} pairs of {len(books)} books; {whole} bytes of text. {_NOTE}"
    publish(
        "booksort", "Book-SORT on compressed memory", body, {**figures, "pairs": len(pairs), "chance": 50.0}, args.json
    )


_NOTE = """Others: the books from the third on; how large a filter of words may be was chosen on
the first two. Bytes are those of texts, summaries, vectors and filters; SQLite's pages and text index are not."""


if __name__ == "__main__":
    main()
