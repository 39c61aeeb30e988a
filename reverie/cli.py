"""The command line: `reverie watch | ask | teach | facts | timeline | export | forget | memory | doctor | demo | ...`.

Results go to stdout, progress and errors to stderr. Exit codes: 0 done, 1 failed, 2 the call was wrong.
With `--json` a verb prints one JSON object.
"""

from __future__ import annotations

import json
import logging
import os
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from reverie.errors import ReverieError, UsageError

if TYPE_CHECKING:
    from reverie.types import TimeSpan

app = typer.Typer(
    name="reverie",
    help="Watches video and sound, remembers them, and answers with time-stamped evidence.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
config_app = typer.Typer(no_args_is_help=True, help="Show the configuration of a profile.")
app.add_typer(config_app, name="config")
memory_app = typer.Typer(no_args_is_help=True, help="Look after a memory: its size, its copies, its soundness.")
app.add_typer(memory_app, name="memory")


class RunnerName(StrEnum):
    """Where the stages run."""

    RAY = "ray"
    LOCAL = "local"


_FOREVER_NS = 1 << 62
INTERRUPTED = 130  # the exit code of a process that Ctrl+C ended


class Format(StrEnum):
    """What `export` writes."""

    SRT = "srt"
    VTT = "vtt"
    JSON = "json"
    PARQUET = "parquet"


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
FromOption = Annotated[float | None, typer.Option("--from", help="Start of the span, in seconds of media time.")]
ToOption = Annotated[float | None, typer.Option("--to", help="End of the span, in seconds of media time.")]
StreamOption = Annotated[list[str] | None, typer.Option("--stream", help="Only this stream; may be repeated.")]


@app.command()
def watch(
    sources: Annotated[list[str], typer.Argument(metavar="SOURCE...", help="Files, folders of pictures, or URLs.")],
    memory: MemoryOption,
    key_file: KeyFileOption = None,
    profile: ProfileOption = "embedded",
    runner: RunnerOption = RunnerName.RAY,
    stream: Annotated[list[str] | None, typer.Option("--stream", help="A name for each source, in order.")] = None,
    place: Annotated[
        list[str] | None, typer.Option("--place", help='Where it was recorded ("kitchen"): of all, or one for each.')
    ] = None,
    timezone: Annotated[
        list[str] | None, typer.Option("--timezone", help='Its time zone ("Europe/Berlin"): of all, or one for each.')
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Watch sources to their end and remember them."""
    from reverie.pipeline.build import Stream
    from reverie.pipeline.session import Session
    from reverie.pipeline.show import LiveProgress, summary

    told = (_one_each("--stream", stream, sources, shared=False), _one_each("--place", place, sources),
            _one_each("--timezone", timezone, sources))  # fmt: skip
    streams = [Stream(*of_one) for of_one in zip(sources, *told, strict=True)]
    with Session(memory, profile=profile, runner=runner.value) as session, LiveProgress(sys.stderr) as show:
        progress = session.watch(*streams, on_progress=show.update)
        show.update(progress)
    _print(progress.as_dict() if as_json else summary(progress), as_json)


def _one_each(option: str, given: list[str] | None, sources: list[str], shared: bool = True) -> list[str]:
    """What an option says of each source."""
    given = given or [""] * len(sources)
    if shared and len(given) == 1:
        given *= len(sources)
    if len(given) != len(sources):
        raise UsageError(f"{option} was given {len(given)} times for {len(sources)} sources: give it for each")
    return given


@app.command()
def ask(
    question: Annotated[str, typer.Argument(help="A question in plain English.")],
    memory: MemoryOption,
    key_file: KeyFileOption = None,
    profile: ProfileOption = "embedded",
    stream: StreamOption = None,
    as_json: JsonOption = False,
) -> None:
    """Answer a question from a memory, with evidence."""
    from reverie.pipeline.session import Session
    from reverie.pipeline.show import answer_as_dict, answer_as_text

    with Session(memory, profile=profile, runner="local") as session:
        answer, latency_ms = session.timed_ask(question, stream_ids=tuple(stream or ()))
    _print(answer_as_dict(answer, latency_ms) if as_json else answer_as_text(answer), as_json)


@app.command()
def teach(
    name: Annotated[str, typer.Argument(help="What questions will call it.")],
    memory: MemoryOption,
    key_file: KeyFileOption = None,
    image: Annotated[list[Path] | None, typer.Option("--image", help="A picture of it; may be repeated.")] = None,
    at_s: Annotated[float | None, typer.Option("--at", help="When it was seen, in seconds of media time.")] = None,
    stream: Annotated[str | None, typer.Option("--stream", help="The stream in which it was seen then.")] = None,
    alias: Annotated[list[str] | None, typer.Option("--alias", help="Another name; may be repeated.")] = None,
    profile: ProfileOption = "embedded",
    as_json: JsonOption = False,
) -> None:
    """Bind a name to how something looks: one showing is enough."""
    from reverie.pipeline.show import entity_as_dict, entity_as_text
    from reverie.pipeline.teaching import teach as teach_in

    taught = teach_in(
        memory, name, images=image or (), at_s=at_s, stream_id=stream, aliases=alias or (), profile=profile
    )
    _print(entity_as_dict(taught) if as_json else entity_as_text(taught), as_json)


@app.command()
def entities(memory: MemoryOption, key_file: KeyFileOption = None, as_json: JsonOption = False) -> None:
    """List what was taught."""
    from reverie.pipeline.session import Session
    from reverie.pipeline.show import entity_as_dict, entity_as_text

    with Session(memory, runner="local") as session:
        found = session.memory.entities()
    if as_json:
        _print({"entities": [entity_as_dict(entity) for entity in found]}, as_json)
    else:
        _print("\n".join(entity_as_text(entity) for entity in found), as_json)


@app.command()
def facts(
    memory: MemoryOption,
    key_file: KeyFileOption = None,
    subject: Annotated[str | None, typer.Argument(help="Whose facts; of all, without it.")] = None,
    history: Annotated[bool, typer.Option("--history", help="Also what was superseded.")] = False,
    read: Annotated[bool, typer.Option("--read", help="First let the profile's language model state more.")] = False,
    profile: ProfileOption = "embedded",
    as_json: JsonOption = False,
) -> None:
    """List what was said to be so, with the words that say it."""
    from reverie.pipeline.session import Session
    from reverie.pipeline.show import fact_as_dict, fact_as_text
    from reverie.pipeline.teaching import read_facts

    if read:
        receipt = read_facts(memory, profile=profile)
        sys.stderr.write(f"{receipt.passages} passages: {receipt.stored} new facts, {receipt.refused} refused\n")
    with Session(memory, runner="local") as session:
        found = session.memory.facts(subject, history=history)
    if as_json:
        _print({"facts": [fact_as_dict(fact) for fact in found]}, as_json)
    else:
        _print("\n".join(fact_as_text(fact) for fact in found), as_json)


@app.command()
def timeline(
    memory: MemoryOption,
    key_file: KeyFileOption = None,
    from_s: FromOption = None,
    to_s: ToOption = None,
    stream: StreamOption = None,
    png: Annotated[Path | None, typer.Option("--png", help="Draw a picture of days into this file instead.")] = None,
    as_json: JsonOption = False,
) -> None:
    """List the events of a memory in time order, or draw them."""
    from reverie.pipeline.session import Session
    from reverie.pipeline.show import event_as_dict, event_as_text

    span, streams = _span(from_s, to_s), tuple(stream or ())
    with Session(memory, runner="local") as session:
        session.memory.require_streams(streams)
        if png is not None:
            from reverie.pipeline.day_picture import day_picture

            drawn = day_picture(session.memory, png, span, streams)
            return _print({"picture": str(drawn)} if as_json else str(drawn), as_json)
        events = session.memory.timeline(span, streams)
    if as_json:
        _print({"events": [event_as_dict(event) for event in events]}, as_json)
    else:
        _print("\n".join(event_as_text(event) for event in events), as_json)


@app.command()
def export(
    memory: MemoryOption,
    key_file: KeyFileOption = None,
    format: Annotated[Format, typer.Option("--format", help="srt and vtt hold what was said.")] = Format.JSON,
    out: Annotated[Path | None, typer.Option("--out", help="The file to write; stdout without it.")] = None,
    stream: StreamOption = None,
) -> None:
    """Write a memory out as subtitles, JSON or a table."""
    from reverie.pipeline.session import Session

    if format is Format.PARQUET and out is None:
        raise UsageError("parquet is binary: name a file with --out")
    with Session(memory, runner="local") as session:
        content = session.memory.export(format.value, stream_ids=tuple(stream or ()), path=out)
    if out is None:
        _write(content.decode())
    else:
        out.write_bytes(content)


@app.command()
def forget(
    memory: MemoryOption,
    key_file: KeyFileOption = None,
    from_s: Annotated[float | None, typer.Option("--from", help="Start of the span, in seconds of media time.")] = None,
    to_s: Annotated[float | None, typer.Option("--to", help="End of the span, in seconds of media time.")] = None,
    stream: StreamOption = None,
    text: Annotated[
        str | None, typer.Option("--text", help="What holds all of these words, or a name that does.")
    ] = None,
    entity: Annotated[str | None, typer.Option("--entity", help="A name that was taught, and what holds it.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Forget everything in this memory.")] = False,
    copies_too: Annotated[bool, typer.Option("--copies", help="With --all: also the list of copies.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would go; change nothing.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Delete for good: a span, a stream, what holds some words, something that was taught, or all."""
    from reverie.pipeline.session import forget as forget_in
    from reverie.pipeline.show import forgotten_as_dict, forgotten_as_text

    receipt = forget_in(
        memory, from_s=from_s, to_s=to_s, stream_ids=tuple(stream or ()), text=text, entity=entity,
        everything=everything, copies_too=copies_too, dry_run=dry_run,
    )  # fmt: skip
    _print(forgotten_as_dict(receipt) if as_json else forgotten_as_text(receipt), as_json)


@memory_app.command("stats")
def memory_stats(memory: MemoryOption, key_file: KeyFileOption = None, as_json: JsonOption = False) -> None:
    """Say how much is remembered, and the bytes it takes."""
    from reverie.pipeline.session import Session
    from reverie.pipeline.show import stats_as_dict, stats_as_text

    with Session(memory, runner="local") as session:
        stats = session.memory.stats()
    _print(stats_as_dict(stats) if as_json else stats_as_text(stats), as_json)


@memory_app.command("backup")
def memory_backup(
    target: Annotated[Path, typer.Argument(help="A directory that is not there yet, or is empty.")],
    memory: MemoryOption,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Copy a memory, also while it is written to. The copy is a memory itself."""
    _copy_memory(memory, target, as_json)


@memory_app.command("restore")
def memory_restore(
    backup: Annotated[Path, typer.Argument(help="The directory of a backup.")],
    memory: MemoryOption,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Bring a backup back into a directory that is not there yet, or is empty."""
    _copy_memory(backup, memory, as_json)


@memory_app.command("encrypt")
def memory_encrypt(
    target: Annotated[Path, typer.Argument(help="A directory that is not there yet, or is empty.")],
    memory: MemoryOption,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make an encrypted copy of a plain memory. The plain one stays: delete it when the copy is what you want."""
    _copy_memory(memory, target, as_json, encrypt=True)


@memory_app.command("verify")
def memory_verify(
    memory: MemoryOption,
    key_file: KeyFileOption = None,
    repair: Annotated[bool, typer.Option("--repair", help="Mend what can be mended without a loss.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Find and name damage; exit code 1 if there is any (left)."""
    from reverie.memory.encryption import key_from_environment
    from reverie.memory.verify import verify, verify_and_repair
    from reverie.pipeline.show import verdict_as_dict, verdict_as_text

    key = key_from_environment()
    report = verify_and_repair(memory, key) if repair else verify(memory, key=key)
    _print(verdict_as_dict(report) if as_json else verdict_as_text(report), as_json)
    if not report.sound:
        raise typer.Exit(1)


@memory_app.command("reencode")
def memory_reencode(
    memory: MemoryOption,
    key_file: KeyFileOption = None,
    profile: ProfileOption = "embedded",
    as_json: JsonOption = False,
) -> None:
    """Embed a memory anew with the encoders of a profile; goes on where it was cut short."""
    from reverie.pipeline.reencode import reencode

    receipt = reencode(memory, profile)
    text = ", ".join(f"{receipt[name]} {name}" for name in ("texts", "names", "pictures"))
    _print(receipt if as_json else f"embedded anew: {text}; {receipt['left']} vectors are as they were", as_json)


@memory_app.command("consolidate")
def memory_consolidate(
    memory: MemoryOption,
    key_file: KeyFileOption = None,
    max_s: Annotated[float | None, typer.Option("--max-s", help="Stop after so many seconds.")] = None,
    profile: ProfileOption = "embedded",
    as_json: JsonOption = False,
) -> None:
    """Merge repeats, build episodes, erase what expired, and bring the memory below its budget's mark."""
    from reverie.pipeline.upkeep import consolidate, consolidation_as_text

    done = consolidate(memory, profile, max_s)
    _print(done if as_json else consolidation_as_text(done), as_json)


@memory_app.command("pin")
def memory_pin(
    memory: MemoryOption,
    key_file: KeyFileOption = None,
    from_s: FromOption = None,
    to_s: ToOption = None,
    stream: StreamOption = None,
    profile: ProfileOption = "embedded",
    as_json: JsonOption = False,
) -> None:
    """Never make a span coarser, nor let it expire; whole streams without --from and --to."""
    from reverie.pipeline.upkeep import pin, pins_as_dict, pins_as_text

    pinned = pin(memory, profile, _span(from_s, to_s), stream or ())
    _print(pins_as_dict(pinned) if as_json else pins_as_text(pinned), as_json)


@memory_app.command("unpin")
def memory_unpin(
    memory: MemoryOption,
    key_file: KeyFileOption = None,
    from_s: FromOption = None,
    to_s: ToOption = None,
    stream: StreamOption = None,
    as_json: JsonOption = False,
) -> None:
    """Let a span fade again; all of it without --from and --to."""
    from reverie.pipeline.upkeep import pins_as_dict, pins_as_text, unpin

    pinned = unpin(memory, _span(from_s, to_s), stream or ())
    _print(pins_as_dict(pinned) if as_json else pins_as_text(pinned), as_json)


@memory_app.command("pins")
def memory_pins(memory: MemoryOption, key_file: KeyFileOption = None, as_json: JsonOption = False) -> None:
    """List what is pinned."""
    from reverie.pipeline.session import Session
    from reverie.pipeline.upkeep import pins_as_dict, pins_as_text

    with Session(memory, runner="local") as session:
        pinned = session.memory.pins()
    _print(pins_as_dict(pinned) if as_json else pins_as_text(pinned), as_json)


@app.command()
def doctor(as_json: JsonOption = False) -> None:
    """Show what is installed, which models resolve, and what each profile can and cannot perceive."""
    from reverie.pipeline.doctor import examine, report_as_text

    report = examine()
    _print(report if as_json else report_as_text(report), as_json)
    if not report["ok"]:
        raise typer.Exit(1)


@config_app.command("show")
def config_show(profile: ProfileOption = "embedded", as_json: JsonOption = False) -> None:
    """Print a profile with every option and its value."""
    from reverie.pipeline.config import load_profile, profile_as_yaml

    loaded = load_profile(profile)
    _print(loaded.model_dump(mode="json") if as_json else profile_as_yaml(loaded), as_json)


@app.command()
def demo(
    memory: MemoryOption = Path("live.memory"),
    key_file: KeyFileOption = None,
    profile: ProfileOption = "embedded",
    runner: RunnerOption = RunnerName.RAY,
    port: Annotated[int, typer.Option("--port", help="On this machine only (127.0.0.1).")] = 7860,
) -> None:
    """Open the live page: camera and microphone, or a file; answers while it watches."""
    from reverie.serve.app import serve

    serve(memory, profile=profile, runner=runner.value, port=port)


def _span(from_s: float | None, to_s: float | None) -> TimeSpan | None:
    """A span that may be open on a side; None for none."""
    from reverie.types import TimeSpan, ns

    if from_s is None and to_s is None:
        return None
    if from_s is not None and to_s is not None and to_s <= from_s:
        raise UsageError(f"--to ({to_s} s) has to be after --from ({from_s} s)")
    return TimeSpan(start_ns=ns(from_s or 0), end_ns=_FOREVER_NS if to_s is None else ns(to_s))


def _copy_memory(source: Path, target: Path, as_json: bool, encrypt: bool = False) -> None:
    """A backup is a memory, so making one and bringing one back are the same copy."""
    from reverie.memory.backup import copy_memory
    from reverie.memory.encryption import key_from_environment
    from reverie.pipeline.show import copy_as_dict, copy_as_text

    key = key_from_environment()
    if encrypt and key is None:
        raise UsageError("an encrypted copy needs a key: name a file that holds it with --key-file")
    receipt = copy_memory(source, target, new_key=key) if encrypt else copy_memory(source, target, key=key)
    _print(copy_as_dict(receipt) if as_json else copy_as_text(receipt), as_json)


def _print(result: dict[str, Any] | str, as_json: bool) -> None:
    _write((json.dumps(result) if as_json else str(result)) + "\n")


def _write(text: str) -> None:
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:  # whoever read our output has left: not an error of ours
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def main() -> None:
    """Entry point of the `reverie` script: our own errors become one line and an exit code."""
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(levelname)s %(name)s: %(message)s")
    try:
        app(prog_name="reverie", standalone_mode=True)
    except ReverieError as error:
        sys.stderr.write(f"reverie: {error}\n")
        sys.exit(error.exit_code)
    except SystemExit as stop:
        if stop.code == INTERRUPTED:
            sys.stderr.write("reverie: stopped; what was watched is remembered, watch again to go on\n")
        raise


if __name__ == "__main__":
    main()
