"""Recall of the messages that answer a question: BEAM 100K (Tavakoli et al. 2025), BM25 beside.

    python benchmarks/beam.py --data FOLDER [--json]

FOLDER holds N_chat.json and N_questions.json of mohammadtavakoli78/BEAM. recall@k is the mean share of a question's
`source_chat_ids` among the k returned messages, over the questions that have some.
"""

from __future__ import annotations

import json
import re
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.dialogues import Dialogue, Question, Turn, recall_share, spaced
from benchmarks.recall_report import report_recall
from benchmarks.report import arguments

KS = (5, 10, 20)


def load(folder: Path) -> list[Dialogue]:
    """The chats of the folder, by number."""
    numbers = sorted(
        int(match[1]) for path in folder.iterdir() if (match := re.fullmatch(r"(\d+)_chat.json", path.name))
    )
    return [_dialogue(folder, number) for number in numbers]


def _dialogue(folder: Path, number: int) -> Dialogue:
    turns = list[Turn]()
    for batch in json.loads((folder / f"{number}_chat.json").read_text()):
        messages = [message for group in batch["turns"] for message in group]
        anchor = next((message["time_anchor"] for message in messages if message.get("time_anchor")), None)
        start = datetime.strptime(anchor, "%B-%d-%Y").replace(tzinfo=UTC) if anchor else turns[-1].at
        texts = [(str(message["id"]), f"{message['role']}: {_said(message['content'])}") for message in messages]
        turns += spaced(start, texts)
    turns.sort(key=lambda turn: turn.at)
    place = {turn.turn_id: index for index, turn in enumerate(turns)}
    asked = json.loads((folder / f"{number}_questions.json").read_text())
    questions = [
        Question(
            text=question["question"],
            kind=ability,
            answerable=ability != "abstention",
            evidence=tuple(sorted({place[i] for i in _ids(question.get("source_chat_ids", [])) if i in place})),
        )
        for ability, group in asked.items()
        for question in group
    ]
    return Dialogue(name=f"chat {number}", turns=tuple(turns), questions=tuple(questions))


def _said(content: str) -> str:
    """A message without the mark that the data set's generator left at its end."""
    return re.sub(r"\s*->->.*$", "", content)


def _ids(source: Any) -> list[str]:
    """Every message id in a list, or in the lists of a mapping."""
    if isinstance(source, dict):
        return [i for part in source.values() for i in _ids(part)]
    if isinstance(source, list):
        return [i for part in source for i in _ids(part)]
    return [str(source)]


def main() -> None:
    args = arguments(__doc__)
    report_recall(
        name="beam",
        title="BEAM 100K: recall of source messages",
        dialogues=load(args.data),
        ks=KS,
        measure=recall_share,
        key="recall",
        work=args.work,
        only_json=args.json,
    )


if __name__ == "__main__":
    main()
