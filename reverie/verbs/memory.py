"""`reverie memory ...`: the verbs that look after a memory."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from reverie.errors import UsageError
from reverie.verbs.options import (
    FromOption,
    JsonOption,
    KeyFileOption,
    MemoryOption,
    ProfileOption,
    StreamOption,
    ToOption,
    print_result,
    span_of,
)

memory_app = typer.Typer(no_args_is_help=True, help="Look after a memory: its size, its copies, its soundness.")


@memory_app.command("stats")
def memory_stats(memory: MemoryOption, key_file: KeyFileOption = None, as_json: JsonOption = False) -> None:
    """Say how much is remembered, and the bytes it takes."""
    from reverie.pipeline.session import Session
    from reverie.pipeline.show import stats_as_dict, stats_as_text

    with Session(memory, runner="local") as session:
        stats = session.memory.stats()
    print_result(stats_as_dict(stats) if as_json else stats_as_text(stats), as_json)


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
    print_result(verdict_as_dict(report) if as_json else verdict_as_text(report), as_json)
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
    from reverie.pipeline.reencode import reencode, reencoded_as_text

    receipt = reencode(memory, profile)
    print_result(receipt if as_json else reencoded_as_text(receipt), as_json)


@memory_app.command("consolidate")
def memory_consolidate(
    memory: MemoryOption,
    key_file: KeyFileOption = None,
    max_s: Annotated[float | None, typer.Option("--max-s", min=0, help="Stop after so many seconds.")] = None,
    profile: ProfileOption = "embedded",
    as_json: JsonOption = False,
) -> None:
    """Merge repeats, build episodes, erase what expired, and bring the memory below its budget's mark."""
    from reverie.pipeline.upkeep import consolidate, consolidation_as_text

    done = consolidate(memory, profile, max_s)
    print_result(done if as_json else consolidation_as_text(done), as_json)


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
    """Never make a span coarser, nor let it expire; without --from and --to, all that was watched.

    That of all streams, unless --stream names some.
    """
    from reverie.pipeline.upkeep import pin, pins_as_dict, pins_as_text

    pinned = pin(memory, profile, span_of(from_s, to_s), stream or ())
    print_result(pins_as_dict(pinned) if as_json else pins_as_text(pinned), as_json)


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

    pinned = unpin(memory, span_of(from_s, to_s), stream or ())
    print_result(pins_as_dict(pinned) if as_json else pins_as_text(pinned), as_json)


@memory_app.command("pins")
def memory_pins(memory: MemoryOption, key_file: KeyFileOption = None, as_json: JsonOption = False) -> None:
    """List what is pinned."""
    from reverie.pipeline.session import Session
    from reverie.pipeline.upkeep import pins_as_dict, pins_as_text

    with Session(memory, runner="local") as session:
        pinned = session.memory.pins()
    print_result(pins_as_dict(pinned) if as_json else pins_as_text(pinned), as_json)


def _copy_memory(source: Path, target: Path, as_json: bool, encrypt: bool = False) -> None:
    """A backup is a memory, so making one and bringing one back are the same copy."""
    from reverie.memory.backup import copy_memory
    from reverie.memory.encryption import key_from_environment
    from reverie.pipeline.show import copy_as_dict, copy_as_text

    key = key_from_environment()
    if encrypt and key is None:
        raise UsageError("an encrypted copy needs a key: name a file that holds it with --key-file")
    receipt = copy_memory(source, target, new_key=key) if encrypt else copy_memory(source, target, key=key)
    print_result(copy_as_dict(receipt) if as_json else copy_as_text(receipt), as_json)
