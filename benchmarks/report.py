"""What all benchmarks share: progress on stderr, one JSON object as the last line of stdout, a dated table.

Every benchmark is `python benchmarks/NAME.py [--data PATH] [--json]`. Its table is written to
benchmarks/results/NAME.md with the date, the commit, the machine and the command that made it.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shlex
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"


def arguments(doc: str | None, **extra: dict[str, Any]) -> argparse.Namespace:
    """Parse `--data`, `--json`, `--work` and what else a benchmark takes."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder of benchmark media; see benchmarks/README.md")
    parser.add_argument("--json", action="store_true", help="print the JSON object only, no table")
    parser.add_argument("--work", type=Path, default=ROOT / "out" / "benchmarks", help="where streams and memories go")
    for name, options in extra.items():
        parser.add_argument(f"--{name.replace('_', '-')}", **options)
    parsed = parser.parse_args()
    parsed.work.mkdir(parents=True, exist_ok=True)
    return parsed


def progress(text: str) -> None:
    """One line on stderr."""
    sys.stderr.write(f"[{time.strftime('%H:%M:%S')}] {text}\n")
    sys.stderr.flush()


def machine() -> str:
    """Processor, cores and Python, as a table's caption."""
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [line.split(":", 1)[1].strip() for line in cpuinfo.read_text().splitlines() if "model name" in line]
        model = names[0] if names else model
    return f"{model}, {os.cpu_count()} cores, Python {platform.python_version()}"


def commit() -> str:
    """The commit that is measured, marked when anything but results has changed since."""
    head = subprocess.run(["git", "describe", "--always"], cwd=ROOT, capture_output=True, text=True).stdout.strip()
    changed = subprocess.run(
        ["git", "diff", "--quiet", "HEAD", "--", ".", f":!{RESULTS.relative_to(ROOT)}"], cwd=ROOT
    ).returncode
    return f"{head}{'-dirty' if changed else ''}" if head else "no git"


def table(headings: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A Markdown table."""
    lines = ["| " + " | ".join(headings) + " |", "|" + "---|" * len(headings)]
    lines += ["| " + " | ".join(str(cell) for cell in row) + " |" for row in rows]
    return "\n".join(lines)


def publish(name: str, title: str, body: str, figures: dict[str, Any], only_json: bool) -> None:
    """Write the table, and print the figures as the last line of stdout."""
    command = "python " + shlex.join([os.path.relpath(sys.argv[0], ROOT), *_portable(sys.argv[1:])])
    stamp = f"{time.strftime('%Y-%m-%d')}, commit {commit()}, {machine()}"
    text = f"# {title}\n\n{stamp}\n\n    {command}\n\n{body}\n"
    RESULTS.mkdir(parents=True, exist_ok=True)
    (RESULTS / f"{name}.md").write_text(text)
    if not only_json:
        print(text)
    print(json.dumps(figures), flush=True)


def _portable(options: Sequence[str]) -> list[str]:
    """Options without the paths of this machine."""
    return ["DATA" if option.startswith(("/", "..")) else option for option in options]
