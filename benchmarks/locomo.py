"""Recall of the turns that answer a question: LoCoMo (Maharana et al. 2024), BM25 beside.

    python benchmarks/locomo.py --data locomo.json [--json]

The file is snap-research/LoCoMo's locomo10.json or a part of it (CC BY-NC 4.0). recall@k is the mean share of a
question's evidence turns among the k returned. The weights that were tried are chosen for each conversation on the
others (cross-fitted); the figures of the shipped configuration stand beside. Category 5 asks
what was never said: what it takes for evidence is said of someone else.
"""

from __future__ import annotations

import json
import re
import sys
from datetime import UTC, datetime
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))


from benchmarks.dialogues import Dialogue, Question, Turn, recall_share, spaced
from benchmarks.recall_report import report_recall
from benchmarks.report import arguments

KS = (5, 10, 25, 50)
KINDS = {1: "multi-hop", 2: "temporal", 3: "open-domain", 4: "single-hop", 5: "adversarial"}
PUBLISHED = {"DRAGON, whole set (paper)": (56.7, 66.2, 76.7, 82.7)}


def load(path: Path) -> list[Dialogue]:
    """The conversations of the file. A picture that was shared is there as its caption."""
    return [_dialogue(sample) for sample in json.loads(path.read_text())]


def _dialogue(sample: dict) -> Dialogue:
    conversation, turns = sample["conversation"], list[Turn]()
    for number in sorted(int(m[1]) for key in conversation if (m := re.fullmatch(r"session_(\d+)", key))):
        start = datetime.strptime(conversation[f"session_{number}_date_time"], "%I:%M %p on %d %B, %Y")
        turns += spaced(start.replace(tzinfo=UTC), [_text(turn) for turn in conversation[f"session_{number}"]])
    turns.sort(key=lambda turn: turn.at)
    place = {turn.turn_id: number for number, turn in enumerate(turns)}
    questions = []
    for asked in sample["qa"]:
        named = [match for entry in asked["evidence"] for match in re.findall(r"D\d+:\d+", entry)]
        evidence = tuple(sorted({place[turn_id] for turn_id in named if turn_id in place}))
        questions.append(
            Question(
                text=asked["question"],
                kind=KINDS[asked["category"]],
                evidence=evidence,
                answerable=asked["category"] != 5,
            )
        )
    return Dialogue(name=sample["sample_id"], turns=tuple(turns), questions=tuple(questions))


def _text(turn: dict) -> tuple[str, str]:
    caption = f" [shows a picture: {turn['blip_caption']}]" if turn.get("blip_caption") else ""
    return turn["dia_id"], f"{turn['speaker']}: {turn['text']}{caption}"


def main() -> None:
    args = arguments(__doc__)
    report_recall(
        name="locomo",
        title="LoCoMo: recall of evidence turns",
        dialogues=load(args.data),
        ks=KS,
        measure=recall_share,
        key="recall",
        published=PUBLISHED,
        work=args.work,
        only_json=args.json,
    )


if __name__ == "__main__":
    main()
