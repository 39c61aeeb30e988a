"""Are all the sessions found that an answer needs? The LongMemEval evidence pool, BM25 beside.

    python benchmarks/longmemeval.py --data EVIDENCE --fillers FILLERS [--json]

EVIDENCE holds questions of LongMemEval (Wu et al. 2025, MIT) with every evidence turn that people marked, FILLERS
whole sessions of its haystacks. Documents are the evidence turns of a session, and the user's turns of the
fillers cut to windows as long as these (drawn from their lengths with a fixed seed), all in one memory by date: an
evidence pool, not LongMemEval_S. recall_all@k is the share of questions all of whose sessions are among the k
returned; questions that cannot be answered are left out there. Ranking by length should find nothing.
"""

from __future__ import annotations

import json
import random
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.dialogues import Dialogue, Question, Turn, recall_all
from benchmarks.recall_report import report_recall
from benchmarks.report import arguments

KS = (5, 10)
SEED = 0
SHORTEST = 40  # characters
APART = timedelta(minutes=10)  # documents are sessions: none lends its words to the next


def load(evidence: Path, fillers: Path) -> list[Dialogue]:
    """The pool, as one dialogue."""
    asked = json.loads(evidence.read_text())
    found: dict[str, str] = {}  # text -> date; a session that two questions need is one document
    for question in asked:
        for session in question["evidence_sessions"]:
            found.setdefault(_text(session["evidence_turns"]), session.get("date") or question["question_date"])
    texts = found | _windows(json.loads(fillers.read_text()), [len(text) for text in found], set(found))
    dated = sorted((_when(date), text) for text, date in texts.items())
    turns: list[Turn] = []
    for at, text in dated:
        later = turns[-1].at + APART if turns else at
        turns.append(Turn(turn_id=str(len(turns)), text=text, at=max(at, later)))
    place = {turn.text: number for number, turn in enumerate(turns)}
    questions = [
        Question(
            text=question["question"],
            kind=question["question_type"],
            evidence=()
            if question["is_abstention"]
            else tuple(sorted({place[_text(s["evidence_turns"])] for s in question["evidence_sessions"]})),
            answerable=not question["is_abstention"],
        )
        for question in asked
    ]
    return [Dialogue(name="evidence pool", turns=tuple(turns), questions=tuple(questions))]


def _text(turns: list[dict[str, Any]]) -> str:
    return "\n".join(turn["content"] for turn in turns)


def _when(date: str) -> datetime:
    """A date such as 2023/04/10 (Mon) 23:07, or in ISO 8601."""
    if "(" not in date:  # "(Tue)" has a T too
        return datetime.fromisoformat(date).replace(tzinfo=UTC)
    return datetime.strptime(date, "%Y/%m/%d (%a) %H:%M").replace(tzinfo=UTC)


def _windows(sessions: list[dict[str, Any]], lengths: list[int], taken: set[str]) -> dict[str, str]:
    """The user's turns of each session, in stretches of lengths drawn from `lengths`."""
    drawn, windows = random.Random(SEED), dict[str, str]()
    for session in sessions:
        said = [turn["content"] for turn in session["turns"] if turn["role"] == "user"]
        while said:
            length, text = drawn.choice(lengths), said.pop(0)
            while said and len(text) + len(said[0]) <= length:
                text += "\n" + said.pop(0)
            text = text[: max(length, SHORTEST)]
            if text not in taken:
                windows[text] = session["date_in_source"]
    return windows


def main() -> None:
    args = arguments(__doc__, fillers={"type": Path, "required": True, "help": "whole sessions that answer nothing"})
    report_recall(
        name="longmemeval",
        title="LongMemEval evidence pool: all sessions found",
        dialogues=load(args.data, args.fillers),
        ks=KS,
        measure=recall_all,
        key="recall_all",
        work=args.work,
        only_json=args.json,
        length_only=True,
    )


if __name__ == "__main__":
    main()
