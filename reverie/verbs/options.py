"""What the verbs share: options, spans, and how results are printed."""

from __future__ import annotations

import json
import os
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from reverie.types import TimeSpan


class RunnerName(StrEnum):
    """Where the stages run."""

    RAY = "ray"
    LOCAL = "local"


MemoryOption = Annotated[Path, typer.Option("--memory", help="The memory's directory.")]
ProfileOption = Annotated[str, typer.Option("--profile", help="A profile's name, or the path of a YAML file.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
RunnerOption = Annotated[RunnerName, typer.Option("--runner", help="Ray actors, or threads of this process.")]


def _use_key_file(path: Path | None) -> None:
    """A key comes from a file or the environment, never from the command line, where others could read it."""
    if path is not None:
        from reverie.memory.encryption import use_key_file

        use_key_file(path)


KeyFileOption = Annotated[
    Path | None,
    typer.Option(
        "--key-file",
        callback=_use_key_file,
        expose_value=False,
        help="The file with the key of an encrypted memory; without it REVERIE_MEMORY_KEY is used.",
    ),
]
FromOption = Annotated[
    float | None, typer.Option("--from", help="Start of the span, in seconds of media time; 0 without it.")
]
ToOption = Annotated[
    float | None, typer.Option("--to", help="End of the span, in seconds of media time; without it, all after --from.")
]
StreamOption = Annotated[
    list[str] | None, typer.Option("--stream", help="Only this stream, by its name or its file's; may be repeated.")
]


def span_of(from_s: float | None, to_s: float | None) -> TimeSpan | None:
    """A span that may be open on a side; None for none."""
    from reverie.open_span import open_span

    return open_span(from_s, to_s)


def print_result(result: dict[str, Any] | str, as_json: bool) -> None:
    """To stdout."""
    write((json.dumps(result) if as_json else str(result)) + "\n")


def write(text: str) -> None:
    """To stdout, as it is."""
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:  # whoever read our output has left: not an error of ours
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
