"""The live page in a real browser whose camera and microphone are fed from a sample stream.

Everything is real: `reverie demo` in a process of its own, the embedded profile, headless Chromium.
"""

import time
from contextlib import contextmanager

import pytest

from demos.sample.catalogue import MissingMedia
from demos.screenshot import (
    ask,
    chromium_flags,
    chromium_path,
    fake_devices,
    keyword,
    live_server,
    start_camera,
    wait_until_heard,
)
from tests.media import every, numbered, write_media

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.skipif(chromium_path() is None, reason="needs Chromium: apt install chromium"),
]
SEED, LOOP_S = 7, 30
# The page opens its devices within about a second, and speech is timed to a few tenths.
TOLERANCE_S = 1.5


@pytest.fixture(scope="module")
def devices(tmp_path_factory):
    try:
        return fake_devices(tmp_path_factory.mktemp("devices"), SEED, LOOP_S)
    except MissingMedia as missing:
        pytest.skip(str(missing))


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    with live_server(tmp_path_factory.mktemp("live") / "memory") as address:
        yield address


@contextmanager
def visit(address, devices=None, refused=0):
    """Open the page; at the end it must have asked for nothing elsewhere, and complained of nothing but refusals."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_path(), args=chromium_flags(devices))
        context = browser.new_context(viewport={"width": 1320, "height": 1000})
        requested, complaints = [], []
        context.on("request", lambda request: requested.append(request.url))
        context.on("weberror", lambda error: complaints.append(str(error.error)))
        context.on("console", lambda line: complaints.append(line.text) if line.type in ("error", "warning") else None)
        page = context.new_page()
        page.goto(address)
        page.get_by_role("tab", name="A file").wait_for()
        yield page
        browser.close()
    elsewhere = [url for url in requested if not url.startswith((f"{address}/", "data:", "blob:"))]
    assert elsewhere == []
    assert any("/live/assets/capture.js" in url for url in requested)
    assert [line for line in complaints if "409" not in line] == []
    assert len(complaints) >= refused  # a picture that was on its way when the feed ended is refused too


def status(page):
    return page.locator("#status").inner_text()


def test_watch_hear_and_answer_with_the_right_time_while_watching(address, devices):
    with visit(address, devices, refused=1) as page:
        clicked = time.monotonic()
        start_camera(page)
        fact = wait_until_heard(page, list(devices.truth.of("said")))
        assert page.locator("#picture img").get_attribute("src").startswith("data:image/jpeg")

        text = ask(page, f"What was said about the {keyword(fact)}?")
        asked_s = time.monotonic() - clicked
        assert keyword(fact) in text.lower()
        card = page.locator("#evidence figure").first
        start_s, end_s = (float(card.get_attribute(f"data-{edge}-s")) for edge in ("start", "end"))
        assert keyword(fact) in card.inner_text().lower()
        assert 0 <= start_s < end_s <= asked_s, "nothing is cited that had not happened yet"
        middle_s = (start_s + end_s) / 2 % LOOP_S
        assert fact.start_s - TOLERANCE_S <= middle_s <= fact.end_s + TOLERANCE_S
        picture = card.locator("img").element_handle()
        page.wait_for_function("picture => picture.complete && picture.naturalWidth > 0", arg=picture)

        before = page.locator(".rv-stamp").inner_text()
        page.wait_for_function("before => document.querySelector('.rv-stamp').innerText !== before", arg=before)
        assert "watching" in status(page)

        other = page.context.new_page()
        other.goto(address)
        other.get_by_role("button", name="Start camera and microphone").click()
        other.get_by_text("is being watched already, here or in another page").wait_for()
        other.locator("#events li").first.wait_for()  # it sees what is going on all the same
        other.close()

        page.get_by_role("button", name="Finish").first.click()
        page.get_by_text("what was watched is remembered").wait_for()
        page.locator('#status [data-phase="done"]').wait_for(timeout=120_000)


def test_a_closed_page_ends_its_camera(address, devices):
    with visit(address, devices) as page:
        start_camera(page)
        watcher = page.context.new_page()
        watcher.goto(address)
        watcher.locator('#status [data-phase="watching"]').wait_for(timeout=120_000)
        page.close()
        watcher.locator('#status [data-phase="done"]').wait_for(timeout=120_000)


def test_an_upload_is_watched_and_a_bad_one_is_refused(address, tmp_path):
    fake, film = tmp_path / "holiday.mp4", tmp_path / "bars.mp4"
    fake.write_text("this is no film\n" * 100)
    write_media(film, times_s=every(10, 3), pictures=[numbered(number) for number in range(30)])
    with visit(address) as page:
        page.get_by_role("tab", name="A file").click()
        chooser = page.locator("input[type=file]")
        chooser.set_input_files(fake)
        problem = page.locator("#problem .rv-problem")
        problem.wait_for()
        assert problem.inner_text().startswith("cannot watch holiday.mp4: it is a text file")
        chooser.set_input_files(film)
        page.locator("#status").get_by_text("bars-").wait_for(timeout=120_000)
        page.locator('#status [data-phase="done"]').wait_for(timeout=120_000)
        page.locator("#events li").first.wait_for()
        assert problem.count() == 0
        assert "6 moments" in status(page), "3 s at 2 pictures a second"


def test_hostile_questions_stay_text(address):
    with visit(address) as page:
        ask(page, "<img src=http://elsewhere.example/x onerror=alert(1)> **said**?")
        assert page.locator("#chat img[src*=elsewhere], #evidence img[src*=elsewhere]").count() == 0
        assert "<img src=http://elsewhere" in page.locator("#chat").inner_text()
