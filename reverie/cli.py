"""The command line: `reverie watch | ask | teach | facts | notes | timeline | export | forget | memory | demo | ...`.

Results go to stdout, progress and errors to stderr. Exit codes: 0 done, 1 failed, 2 the call was wrong.
With `--json` a verb prints one JSON object.
"""

from __future__ import annotations

import logging
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from reverie.errors import ReverieError, UsageError
from reverie.verbs.imagination import imagine, train
from reverie.verbs.memory import memory_app
from reverie.verbs.options import (
    FromOption,
    JsonOption,
    KeyFileOption,
    MemoryOption,
    ProfileOption,
    RunnerName,
    RunnerOption,
    StreamOption,
    ToOption,
    print_result,
    span_of,
    write,
)

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
app.add_typer(memory_app, name="memory")
app.command()(imagine)
app.command()(train)


INTERRUPTED = 130  # the exit code of a process that Ctrl+C ended


class SenseName(StrEnum):
    """What `teach --at` takes from a time."""

    LOOK = "look"
    SOUND = "sound"


class Format(StrEnum):
    """What `export` writes."""

    SRT = "srt"
    VTT = "vtt"
    JSON = "json"
    PARQUET = "parquet"


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
    print_result(progress.as_dict() if as_json else summary(progress), as_json)


def _one_each(option: str, given: list[str] | None, sources: list[str], shared: bool = True) -> list[str]:
    """What an option says of each source."""
    given = given or [""] * len(sources)
    if shared and len(given) == 1:
        given *= len(sources)
    if len(given) != len(sources):
        from reverie.reasoning.phrasing import counted

        times, of_all = counted(len(given), "time"), counted(len(sources), "source")
        raise UsageError(f"{option} was given {times} for {of_all}: give it for each")
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
    print_result(answer_as_dict(answer, latency_ms) if as_json else answer_as_text(answer), as_json)


@app.command()
def teach(
    name: Annotated[str, typer.Argument(help="What questions will call it.")],
    memory: MemoryOption,
    key_file: KeyFileOption = None,
    image: Annotated[list[Path] | None, typer.Option("--image", help="A picture of it; may be repeated.")] = None,
    sound: Annotated[list[Path] | None, typer.Option("--sound", help="A sound of it; may be repeated.")] = None,
    at_s: Annotated[float | None, typer.Option("--at", help="When it was there, in seconds of media time.")] = None,
    stream: Annotated[str | None, typer.Option("--stream", help="The stream where it was then, or its file.")] = None,
    sense: Annotated[SenseName, typer.Option("--sense", help="What it is of that time.")] = SenseName.LOOK,
    alias: Annotated[list[str] | None, typer.Option("--alias", help="Another name; may be repeated.")] = None,
    profile: ProfileOption = "embedded",
    as_json: JsonOption = False,
) -> None:
    """Bind a name to how something looks or sounds: one showing is enough."""
    from reverie.pipeline.show import entity_as_dict, entity_as_text
    from reverie.pipeline.teaching import teach as teach_in

    taught = teach_in(
        memory,
        name,
        images=image or (),
        sounds=sound or (),
        at_s=at_s,
        stream_id=stream,
        sense=sense.value,
        aliases=alias or (),
        profile=profile,
    )
    print_result(entity_as_dict(taught) if as_json else entity_as_text(taught), as_json)


@app.command()
def entities(memory: MemoryOption, key_file: KeyFileOption = None, as_json: JsonOption = False) -> None:
    """List what was taught."""
    from reverie.pipeline.session import Session
    from reverie.pipeline.show import entity_as_dict, entity_as_text

    with Session(memory, runner="local") as session:
        found = session.memory.entities()
    if as_json:
        print_result({"entities": [entity_as_dict(entity) for entity in found]}, as_json)
    else:
        print_result("\n".join(map(entity_as_text, found)) or "nothing was taught", as_json)


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
    from reverie.pipeline.show import fact_as_dict, fact_as_text, read_as_text
    from reverie.pipeline.teaching import read_facts

    if read:
        receipt = read_facts(memory, profile=profile)
        sys.stderr.write(read_as_text(receipt, "fact") + "\n")
    with Session(memory, runner="local") as session:
        found = session.memory.facts(subject, history=history)
    if as_json:
        print_result({"facts": [fact_as_dict(fact) for fact in found]}, as_json)
    else:
        # One that was superseded has a successor, so --history would list none either.
        none = "no facts" if subject is None else f"no facts about {subject!r}: without a subject all are listed"
        print_result("\n".join(map(fact_as_text, found)) or none, as_json)


@app.command()
def notes(
    memory: MemoryOption,
    key_file: KeyFileOption = None,
    read: Annotated[bool, typer.Option("--read", help="First let the profile's language model conclude more.")] = False,
    profile: ProfileOption = "embedded",
    as_json: JsonOption = False,
) -> None:
    """List what was concluded, about which times, and which notes are alike."""
    from reverie.pipeline.session import Session
    from reverie.pipeline.show import note_as_dict, note_as_text, read_as_text
    from reverie.pipeline.teaching import read_notes

    if read:
        receipt = read_notes(memory, profile=profile)
        sys.stderr.write(read_as_text(receipt, "note") + "\n")
    with Session(memory, runner="local") as session:
        found = session.memory.notes()
    if as_json:
        print_result({"notes": [note_as_dict(note) for note in found]}, as_json)
    else:
        print_result("\n".join(map(note_as_text, found)) or "no notes", as_json)


@app.command()
def timeline(
    memory: MemoryOption,
    key_file: KeyFileOption = None,
    from_s: FromOption = None,
    to_s: ToOption = None,
    stream: StreamOption = None,
    png: Annotated[Path | None, typer.Option("--png", help="Draw a picture of days into this .png instead.")] = None,
    as_json: JsonOption = False,
) -> None:
    """List the events of a memory in time order, or draw them."""
    from reverie.pipeline.session import Session
    from reverie.pipeline.show import event_as_dict, timeline_as_text
    from reverie.pipeline.stream_names import named_streams

    span = span_of(from_s, to_s)
    with Session(memory, runner="local") as session:
        streams = named_streams(session.memory, stream or ())
        if png is not None:
            from reverie.pipeline.day_picture import day_picture

            drawn = day_picture(session.memory, png, span, streams)
            return print_result({"picture": str(drawn)} if as_json else str(drawn), as_json)
        events, records = session.memory.timeline(span, streams), session.memory.streams()
    if as_json:
        print_result({"events": [event_as_dict(event) for event in events]}, as_json)
    else:
        print_result(timeline_as_text(events, records) or "no events: nothing was watched there", as_json)


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
    from reverie.pipeline.stream_names import named_streams

    if format is Format.PARQUET and out is None:
        raise UsageError("parquet is binary: name a file with --out")
    with Session(memory, runner="local") as session:
        streams = named_streams(session.memory, stream or ())
        content = session.memory.export(format.value, stream_ids=streams, path=out)
    if out is None:
        write(content.decode())
    else:
        out.write_bytes(content)


@app.command()
def forget(
    memory: MemoryOption,
    key_file: KeyFileOption = None,
    from_s: FromOption = None,
    to_s: ToOption = None,
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
    """Delete for good: a span, a stream, what holds some words, something that was taught, or all.

    A span without --to goes on to the end, and takes that of all streams unless --stream names some.
    """
    from reverie.pipeline.session import forget as forget_in
    from reverie.pipeline.show import forgotten_as_dict, forgotten_as_text

    receipt = forget_in(
        memory, from_s=from_s, to_s=to_s, stream_ids=tuple(stream or ()), text=text, entity=entity,
        everything=everything, copies_too=copies_too, dry_run=dry_run,
    )  # fmt: skip
    print_result(forgotten_as_dict(receipt) if as_json else forgotten_as_text(receipt), as_json)


@app.command()
def doctor(as_json: JsonOption = False) -> None:
    """Show what is installed, which models resolve, and what each profile can and cannot perceive."""
    from reverie.pipeline.doctor import examine, report_as_text

    report = examine()
    print_result(report if as_json else report_as_text(report), as_json)
    if not report["ok"]:
        raise typer.Exit(1)


@config_app.command("show")
def config_show(profile: ProfileOption = "embedded", as_json: JsonOption = False) -> None:
    """Print a profile with every option and its value."""
    from reverie.pipeline.config import load_profile, profile_as_yaml

    loaded = load_profile(profile)
    print_result(loaded.model_dump(mode="json") if as_json else profile_as_yaml(loaded), as_json)


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
