"""What several tests share: a composed stream, the memory of it, a quick profile, the command line, one Ray session."""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

QUICK = """
name: quick
summary: whole pictures, and whether there is music
objects: null
writing: null
speech: null
"""
STREAM_SEED, STREAM_S = 4, 20.0


@dataclass(frozen=True)
class Outcome:
    """What a call of the command line left: its exit code, and what it wrote."""

    code: int
    out: str
    err: str


Cli = Callable[..., Outcome]


@pytest.fixture(scope="session")
def stream(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """20 s with a visit, three sentences and a caption; its truth lies beside it."""
    from demos.sample.compose import compose

    path = tmp_path_factory.mktemp("stream") / "sample.mp4"
    compose(STREAM_SEED, STREAM_S, path)
    return path


@pytest.fixture(scope="session")
def watched(stream: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The memory of `stream` with every sense of the embedded profile, by threads and undisturbed. Only for reading."""
    import reverie

    directory = tmp_path_factory.mktemp("watched") / "memory"
    with reverie.open(directory, runner="local") as session:
        session.watch(stream)
    return directory


@pytest.fixture(scope="session")
def quick_profile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A profile of the two senses that load and run in a moment."""
    path = tmp_path_factory.mktemp("profile") / "quick.yaml"
    path.write_text(QUICK)
    return path


@pytest.fixture
def small_disk(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Path]:
    """A file system of 16 MB, or of the size that an indirect parameter names."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = shutil.which("mount")
    if command is None or os.geteuid() != 0:
        pytest.skip("mounting a small file system needs root and mount")
    options = ["-t", "tmpfs", "-o", f"size={getattr(request, 'param', '16m')}"]
    mounted = subprocess.run([command, *options, "tmpfs", str(folder)], capture_output=True)
    if mounted.returncode != 0:
        pytest.skip(f"cannot mount a tmpfs here: {mounted.stderr.decode().strip()}")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@pytest.fixture
def cli(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Cli:
    """Calls `reverie.cli.main` in this process; captured are the descriptors, so native libraries are heard too."""
    from reverie.cli import main

    def run(*arguments: str | Path) -> Outcome:
        monkeypatch.setattr(sys, "argv", ["reverie", *map(str, arguments)])
        root = logging.getLogger()
        handlers = list(root.handlers)
        # `main` leaves the handlers of a process that has some alone, and pytest's are some: as at a terminal, none.
        root.handlers = []
        capfd.readouterr()
        code = 0
        try:
            main()
        except SystemExit as exit_:
            code = exit_.code if isinstance(exit_.code, int) else 0 if exit_.code is None else 1
        finally:
            root.handlers = handlers
        return Outcome(code, *capfd.readouterr())

    return run


@pytest.fixture(scope="session")
def ray_session() -> Iterator[None]:
    """One Ray cluster of this process, stopped at the end of the session."""
    from reverie.pipeline.distributed.backend import connect, disconnect

    connect()
    yield
    disconnect()
