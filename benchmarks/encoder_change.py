"""What is left of search when a memory that one encoder wrote is asked by another: anchors, and embedding anew.

    python benchmarks/encoder_change.py --data locomo.json [--dialogues 1] [--json]

Dialogues of LoCoMo are written with one of two real encoders (MiniLM-L6, 384 dimensions; WordLlama, 256) and asked
with the other. `kept` is recall@10 of the 10 turns nearest to the question in the writer's own space, dense alone and
without context; `evidence` is recall@10 of the turns that hold the answer, with the shipped configuration.

- same: asked with the encoder that wrote it;
- anchors: asked with the other one, the question carried over (relative representations);
- no anchors: as before, vectors of an encoder that is not here are not compared, words alone are;
- embedded anew: after `Memory.reencode` with the other one.
"""

from __future__ import annotations

import shutil
import sqlite3
import sys
import tempfile
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.dialogues import Recaller, recall_share
from benchmarks.locomo import load
from benchmarks.report import arguments, progress, publish, table
from benchmarks.static_encoder import WordLlama
from reverie.memory import Memory, SearchConfig
from reverie.perception.minilm import MiniLM

K = 10
NEAREST = SearchConfig(text_dense_weight=1, text_lexical_weight=0, context_dense_share=0, text_cosine_range=(-1, 1))
WAYS = ("same", "anchors", "no anchors", "embedded anew")


def main() -> None:
    args = arguments(__doc__, dialogues={"type": int, "default": 1, "help": "how many of the file's dialogues"})
    encoders = {"MiniLM": MiniLM(cache_size=20_000), "WordLlama": WordLlama()}
    figures: dict[str, dict[str, dict[str, float]]] = {}
    for writer, asker in (("MiniLM", "WordLlama"), ("WordLlama", "MiniLM")):
        sums: dict[str, list[tuple[float, float]]] = {way: [] for way in WAYS}
        chance: list[float] = []
        for dialogue in load(args.data)[: args.dialogues]:
            progress(f"{dialogue.name}: written with {writer}, asked with {asker}")
            questions = [question for question in dialogue.questions if question.evidence]
            with tempfile.TemporaryDirectory(dir=args.work) as folder:
                recaller = Recaller(dialogue, encoders[writer], Path(folder) / "m")
                truth = recaller.ranked(questions, K, NEAREST)
                chance.append(K / len(dialogue.turns))
                for way in WAYS:
                    recaller._encoder = encoders[writer if way == "same" else asker]
                    if way == "no anchors":
                        bare = Path(folder) / "bare"
                        shutil.copytree(recaller._folder, bare)
                        with sqlite3.connect(bare / "memory.sqlite") as db:
                            db.execute("UPDATE encoder SET anchor_set = NULL, anchors = NULL")
                        recaller._folder, held = bare, recaller._folder
                    if way == "embedded anew":
                        with Memory.open(recaller._folder, text_encoder=encoders[asker], mode="w") as memory:
                            memory.reencode()
                    nearest, ranked = recaller.ranked(questions, K, NEAREST), recaller.ranked(questions, K)
                    for question, own, best, found in zip(questions, truth, nearest, ranked, strict=True):
                        sums[way].append((recall_share(best, own), recall_share(found, question.evidence)))
                    if way == "no anchors":
                        recaller._folder = held
        own_figures = {
            way: dict(zip(("kept", "evidence"), np.round(100 * np.mean(values, axis=0), 1).tolist(), strict=True))
            for way, values in sums.items()
        }
        own_figures["no anchors"]["kept"] = round(100 * float(np.mean(chance)), 1)  # nothing but chance
        figures[f"{writer} to {asker}"] = own_figures
        progress(str(own_figures))
    rows = [
        [change, *(f"{own[way]['kept']} / {own[way]['evidence']}" for way in WAYS)] for change, own in figures.items()
    ]
    body = table(("written by, asked by", *(f"{way}: kept / evidence" for way in WAYS)), rows)
    publish("encoder_change", "A change of encoder: recall@10 in percent", body, figures, args.json)


if __name__ == "__main__":
    main()
