"""The live page at work, in a picture: python -m demos.screenshot --out docs/images/live_page.png

Starts `reverie demo` on a free port, opens it in headless Chromium whose camera and microphone are fed
from a composed sample stream, waits until something was said, asks about it, and takes the picture.
Needs Chromium (Debian: `apt install chromium`) and playwright, which is used without a browser of its own.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from demos.sample.camera import write_fake_camera
from demos.sample.compose import truth_of
from demos.sample.plan import plan_stream
from demos.sample.truth import Fact, Truth

WIDTH_PX, HEIGHT_PX = 1320, 1040
START_TIMEOUT_S = 120
HEARD_TIMEOUT_MS = 240_000
ANSWER_TIMEOUT_MS = 60_000
_ADDRESS = re.compile(r"http://127\.0\.0\.1:\d+")


@dataclass(frozen=True, slots=True)
class FakeDevices:
    """What Chromium takes for a camera and a microphone, and the truth about it. Both start again at their end."""

    camera: Path
    microphone: Path
    truth: Truth


def fake_devices(folder: Path, seed: int, seconds: float) -> FakeDevices:
    """Compose a sample stream as a camera and a microphone would deliver it."""
    plan = plan_stream(seed, seconds)
    camera, microphone = write_fake_camera(plan, folder)
    return FakeDevices(camera, microphone, truth_of(plan))


def chromium_path() -> str | None:
    """Chromium as the system has it."""
    return shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


def chromium_flags(devices: FakeDevices | None) -> list[str]:
    """Flags of a headless Chromium with these devices; permission is given without a dialogue."""
    flags = ["--no-sandbox", "--disable-dev-shm-usage"]
    if devices is not None:
        flags += [
            "--use-fake-device-for-media-stream",
            "--use-fake-ui-for-media-stream",
            f"--use-file-for-fake-video-capture={devices.camera}",
            f"--use-file-for-fake-audio-capture={devices.microphone}",
        ]
    return flags


@contextmanager
def live_server(memory: Path, runner: str = "local") -> Iterator[str]:
    """`reverie demo` in a process of its own; yields its address. Interrupted at the end, as by Ctrl+C."""
    command = [sys.executable, "-m", "reverie.cli", "demo", "--memory", str(memory), "--runner", runner, "--port", "0"]
    with tempfile.TemporaryFile("w+") as log:
        process = subprocess.Popen(command, stderr=log, env={**os.environ, "PYTHONUNBUFFERED": "1"})
        try:
            yield _address(process, log)
        finally:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _address(process: subprocess.Popen[Any], log: Any) -> str:
    """The address that the server names once it is there."""
    for _ in range(START_TIMEOUT_S * 4):
        log.seek(0)
        said = log.read()
        if found := _ADDRESS.search(said):
            return found.group()
        try:
            process.wait(0.25)
        except subprocess.TimeoutExpired:
            continue
        raise RuntimeError(f"the live page ended before it was there: {said}")
    raise RuntimeError(f"the live page did not come up in {START_TIMEOUT_S} s: {said}")


def keyword(fact: Fact) -> str:
    """What a sentence is about: the name of its recording."""
    return fact.source_id.replace("_", " ")


def start_camera(page: Any) -> None:
    """Click, and wait until the page says that it watches and listens."""
    page.get_by_role("button", name="Start camera and microphone").click()
    page.get_by_text("Watching and listening").wait_for(timeout=1000 * START_TIMEOUT_S)


def wait_until_heard(page: Any, facts: list[Fact]) -> Fact:
    """Wait for the first of these sentences in the transcript, and for an event with a picture; returns it."""
    words = [keyword(fact) for fact in facts]
    page.wait_for_function(
        "words => words.some(word => document.querySelector('#transcript').innerText.toLowerCase().includes(word))",
        arg=words,
        timeout=HEARD_TIMEOUT_MS,
    )
    page.locator("#events li img").first.wait_for(timeout=HEARD_TIMEOUT_MS)
    said = page.locator("#transcript").inner_text().lower()
    return next(fact for fact in facts if keyword(fact) in said)


def ask(page: Any, question: str) -> str:
    """Ask, wait for the evidence of the answer, and return the answer's text."""
    page.locator("#question").get_by_role("textbox").fill(question)
    page.locator("#ask").click()
    page.locator("#evidence").get_by_text(question).wait_for(timeout=ANSWER_TIMEOUT_MS)
    return str(page.locator("#chat .bot").last.inner_text())


def main(argv: list[str] | None = None) -> int:
    """Take the picture; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m demos.screenshot", description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("docs/images/live_page.png"))
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=60.0, help="length of the stream that the camera repeats")
    parser.add_argument("--watch", type=float, default=75.0, help="seconds to watch before the picture is taken")
    parser.add_argument("--runner", choices=("local", "ray"), default="local", help="where the stages run")
    arguments = parser.parse_args(argv)
    if chromium_path() is None:
        print("error: there is no Chromium; apt install chromium", file=sys.stderr)
        return 1
    from playwright.sync_api import sync_playwright

    with tempfile.TemporaryDirectory(prefix="reverie-") as folder, sync_playwright() as playwright:
        devices = fake_devices(Path(folder) / "devices", arguments.seed, arguments.seconds)
        with live_server(Path(folder) / "live.memory", arguments.runner) as address:
            browser = playwright.chromium.launch(executable_path=chromium_path(), args=chromium_flags(devices))
            page = browser.new_page(viewport={"width": WIDTH_PX, "height": HEIGHT_PX}, device_scale_factor=1.5)
            page.goto(address)
            start_camera(page)
            page.wait_for_timeout(1000 * arguments.watch)
            fact = wait_until_heard(page, list(devices.truth.of("said")))
            for question in (f"What was said about the {keyword(fact)}?", "What was written on the screen?"):
                print(ask(page, question))
            _wait_for_boxes(page)
            page.mouse.move(0, 0)
            page.evaluate("window.scrollTo(0, 0)")
            arguments.out.parent.mkdir(parents=True, exist_ok=True)
            page.screenshot(path=str(arguments.out), full_page=True)
            browser.close()
    print(arguments.out)
    return 0


def _wait_for_boxes(page: Any) -> None:
    """A picture with a box in it says more; after one round of the stream any will do."""
    from playwright.sync_api import TimeoutError as Late

    try:
        page.locator("#picture [data-boxes]:not([data-boxes='0'])").wait_for(timeout=60_000)
    except Late:
        print("no box came in a minute; taking the picture without one", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
