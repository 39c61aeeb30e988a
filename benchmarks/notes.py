"""Do links between notes help to find them? LoCoMo's turns as notes, with and without following links.

    python benchmarks/notes.py --data locomo.json [--json]

Every turn of a conversation becomes a note (`Memory.note`), which links it to at most 5 nearest notes. A question is
asked of `Memory.notes`; recall@10 is the mean share of its evidence turns among ten notes: the ten best, or the five
best and then what they link to, in the order of the five (A-MEM returns neighbours of hits in this way), filled up with
the next best.
"""

from __future__ import annotations

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np

from benchmarks.dialogues import Dialogue, paired_interval, recall_share
from benchmarks.locomo import load
from benchmarks.report import arguments, progress, publish, table
from reverie.memory import Memory, Note
from reverie.perception.minilm import MiniLM
from reverie.types import Modality, Observation, StreamStart, TimeSpan, ns

K, HEAD = 10, 5


def followed(best: list[Note]) -> list[int]:
    """Ids of the first five, of what they link to, and then of the rest."""
    ids = [note.note_id for note in best[:HEAD]]
    ids += [linked for note in best[:HEAD] for linked in note.links]
    return list(dict.fromkeys(ids + [note.note_id for note in best]))[:K]


def recalls(dialogue: Dialogue, encoder: MiniLM, folder: Path) -> tuple[list[float], list[float]]:
    """Recall of each question with evidence, in percent: plain, and with links followed."""
    plain, linked = list[float](), list[float]()
    with Memory.open(folder, text_encoder=encoder, mode="w") as memory:
        memory.write([StreamStart(stream_id="talk", uri="", live=False, has_video=False, has_audio=True)])
        long = TimeSpan(start_ns=0, end_ns=ns(10 * len(dialogue.turns)))
        memory.write([Observation(stream_id="talk", seq=0, span=long, modality=Modality.SPEECH, text="hi")])
        place = {}
        for number, turn in enumerate(dialogue.turns):
            about = TimeSpan(start_ns=ns(10 * number), end_ns=ns(10 * number + 4))
            place[memory.note(turn.text, stream_id="talk", about=about).note_id] = number
        for question in dialogue.questions:
            if question.evidence and question.kind != "adversarial":
                best = memory.notes(question.text, k=K)
                for ids, shares in (([note.note_id for note in best], plain), (followed(best), linked)):
                    shares.append(100 * recall_share([place[note] for note in ids], question.evidence))
    return plain, linked


def main() -> None:
    args = arguments(__doc__, conversations={"type": int, "default": 2, "help": "how many of the file's"})
    encoder, plain, linked = MiniLM(), list[float](), list[float]()
    for dialogue in load(args.data)[: args.conversations]:
        with TemporaryDirectory(dir=args.work) as folder:
            own = recalls(dialogue, encoder, Path(folder) / "m")
        plain += own[0]
        linked += own[1]
        progress(f"{dialogue.name}: {len(own[0])} questions, {np.mean(own[0]):.1f} and {np.mean(own[1]):.1f}")
    interval = paired_interval(np.array(linked), np.array(plain))
    rows = [["ten best", f"{np.mean(plain):.1f}", ""]]
    rows += [["five best and their links", f"{np.mean(linked):.1f}", f"{interval[0]} to {interval[1]}"]]
    body = table(["notes returned", "recall@10, %", "difference, 95 %"], rows)
    body += f"\n\n{len(plain)} questions of {args.conversations} conversations."
    body += " Following links does not help: `Memory.notes` does not." if interval[0] <= 0 else ""
    figures = {"questions": len(plain), "plain": round(float(np.mean(plain)), 1)}
    figures |= {"links_followed": round(float(np.mean(linked)), 1), "interval": interval}
    publish("notes", "Notes: are links worth following?", body, figures, args.json)


if __name__ == "__main__":
    main()
