"""`make demo`: watch a stream through Ray actors, then ask about it, and show the evidence.

Without `--source` a sample stream of about two minutes is composed from pictures and clips that
installed packages carry, with captions and spoken sentences at known times; seven questions follow.
With `--source` and `--question` the same happens on a file of yours.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import reverie
from reverie.errors import ReverieError
from reverie.pipeline.contact_sheet import contact_sheet
from reverie.pipeline.show import LiveProgress, answer_as_text, summary

SAMPLE_SEED, SAMPLE_SECONDS = 7, 120
OWN_QUESTIONS = ["What was seen?", "What was said?", "What text was on the screen?", "What happened at the end?"]


def main() -> int:
    """Run the demo; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--source", help="a file or URL to watch instead of the sample stream")
    parser.add_argument("--question", action="append", help="what to ask; may be repeated")
    parser.add_argument("--memory", type=Path, help="directory of the memory")
    parser.add_argument("--out", type=Path, default=Path("out/demo"), help="where pictures go")
    arguments = parser.parse_args()
    source, questions = arguments.source, arguments.question or OWN_QUESTIONS
    if source is None:
        source, sample_questions = _sample(arguments.out)
        questions = arguments.question or sample_questions
    memory = arguments.memory or arguments.out / f"{Path(source).stem}.memory"
    try:
        _watch_and_ask(source, questions, memory, arguments.out)
    except ReverieError as error:
        sys.stderr.write(f"reverie: {error}\n")
        return error.exit_code
    return 0


def _sample(out: Path) -> tuple[str, list[str]]:
    """Compose the sample stream; its path, and questions whose answers are known."""
    from demos.sample.compose import compose
    from demos.sample.showcase import showcase_questions

    path = out / "sample.mp4"
    print(f"composing the sample stream {path} ...", flush=True)
    out.mkdir(parents=True, exist_ok=True)
    truth = compose(SAMPLE_SEED, SAMPLE_SECONDS, path)
    return str(path), showcase_questions(truth)


def _watch_and_ask(source: str, questions: list[str], memory: Path, out: Path) -> None:
    with reverie.open(memory) as session:
        print(f"watching {source}, remembering in {memory}", flush=True)
        with LiveProgress(sys.stderr) as show:
            progress = session.watch(source, on_progress=show.update)
            show.update(progress)
        print(summary(progress), flush=True)
        for number, question in enumerate(questions, start=1):
            answer = session.ask(question)
            print(f"\n{number}. {question}\n{answer_as_text(answer)}")
            if answer.citations:
                sheet = contact_sheet(question, answer, out / f"answer_{number}.png", session.memory)
                print(f"  contact sheet: {sheet}")


if __name__ == "__main__":
    sys.exit(main())
