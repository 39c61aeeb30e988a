"""The page itself: what stands where, and what happens on a click (Gradio Blocks).

Camera and microphone do not go through Gradio: its streaming components write every chunk of sound to
a file in a temporary folder, where `reverie forget` would never find it. A small script of ours sends
them to `web.py` instead, stamped with one clock. Files go through Gradio's upload, and the copy is
deleted when it has been watched.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr

from reverie.errors import ReverieError
from reverie.serve.live import LiveSession, Phase, View
from reverie.serve.panels import (
    events_panel,
    evidence_panel,
    picture_panel,
    problem_note,
    status_panel,
    transcript_panel,
)

TICK_S = 0.5
Keys = tuple[int, ...]
Turn = list[str]
# What each panel depends on, and how it is made: only a panel whose key changed is made and sent again.
PANELS: tuple[tuple[Callable[[View], Hashable], Callable[[View], str]], ...] = (
    (lambda view: (view.picture_key, view.stream_id, view.phase), picture_panel),
    (status_panel, status_panel),
    (lambda view: view.lines, lambda view: transcript_panel(view.lines)),
    (lambda view: view.events, lambda view: events_panel(view.events)),
)
UNSHOWN: Keys = (0,) * len(PANELS)
MAX_QUESTION_CHARS = 500
MAX_QUESTIONS_AT_ONCE = 2
_TITLE = "reverie"
# js_on_load runs inside a function made by Gradio, with `element` in it; the template never changes again.
_ATTACH = "import('/live/assets/capture.js').then((capture) => capture.attach(element));"
_CAMERA = """
<div class="rv-camera">
  <video class="rv-self" muted playsinline aria-label="your camera"></video>
  <div>
    <button type="button" class="rv-start">Start camera and microphone</button>
    <button type="button" class="rv-stop" hidden>Finish</button>
    <p class="rv-note" role="status">Pictures and sound go to this machine only.</p>
  </div>
</div>
"""
_HEADING = (
    '<header class="rv-head"><h1>reverie</h1><p>It watches and listens, remembers, and answers with '
    "evidence while it goes on watching.</p></header>"
)
_EXAMPLES = ("What was said?", "What was written?", "What do you see now?", "What came first?")


def theme() -> gr.themes.Base:
    """System fonts: nothing is fetched."""
    return gr.themes.Base(
        primary_hue="teal",
        neutral_hue="stone",
        font=["system-ui", "-apple-system", "Segoe UI", "Liberation Sans", "sans-serif"],
        font_mono=["ui-monospace", "Liberation Mono", "monospace"],
    )


def live_page(live: LiveSession) -> gr.Blocks:
    """Build the page over a live session."""
    page = gr.Blocks(title=_TITLE, analytics_enabled=False, delete_cache=(3600, 86400), fill_width=True)
    with page:
        gr.HTML(_HEADING)
        shown = gr.State(UNSHOWN)
        with gr.Row(equal_height=False):
            with gr.Column(scale=5, min_width=420):
                picture = gr.HTML(picture_panel(View()), elem_id="picture")
                status = gr.HTML(status_panel(View()), elem_id="status")
                with gr.Tabs():
                    with gr.Tab("Camera and microphone"):
                        gr.HTML(_CAMERA, js_on_load=_ATTACH, elem_id="camera")
                    with gr.Tab("A file"):
                        with gr.Row(equal_height=True):
                            upload = gr.UploadButton(
                                "Choose a video or sound file", variant="primary", elem_id="upload"
                            )
                            finish = gr.Button("Finish", elem_id="finish")
                        problem = gr.HTML("", elem_id="problem")
            with gr.Column(scale=4, min_width=360):
                gr.HTML("<h2>Heard and read</h2>", elem_classes="rv-title")
                transcript = gr.HTML(transcript_panel(()), elem_id="transcript")
                gr.HTML("<h2>Events</h2>", elem_classes="rv-title")
                events = gr.HTML(events_panel(()), elem_id="events")
        with gr.Row(equal_height=False):
            with gr.Column(scale=5, min_width=420):
                chat = gr.Chatbot(
                    show_label=False,
                    height=284,
                    render_markdown=False,
                    buttons=[],
                    feedback_options=None,
                    elem_id="chat",
                    placeholder="Ask about what was seen, said or written; the watching goes on.",
                )
                with gr.Row():
                    question = gr.Textbox(
                        show_label=False,
                        container=False,
                        placeholder="What was said about the train?",
                        max_length=MAX_QUESTION_CHARS,
                        scale=6,
                        elem_id="question",
                    )
                    ask = gr.Button("Ask", variant="primary", scale=1, min_width=80, elem_id="ask")
                with gr.Row(elem_classes="rv-examples"):
                    examples = [gr.Button(text, size="sm", min_width=60) for text in _EXAMPLES]
            with gr.Column(scale=4, min_width=360):
                evidence = gr.HTML(evidence_panel("", None), elem_id="evidence")
        _wire(live, page, shown, (picture, status, transcript, events), upload, finish, problem)
        _wire_chat(live, chat, question, ask, examples, evidence)
    return page


def _wire(
    live: LiveSession,
    page: gr.Blocks,
    shown: gr.State,
    panels: Sequence[gr.HTML],
    upload: gr.UploadButton,
    finish: gr.Button,
    problem: gr.HTML,
) -> None:
    def refresh(before: Keys) -> list[Any]:
        view = live.view()
        now = tuple(hash(key(view)) for key, _ in PANELS)
        made = [
            gr.skip() if old == new else make(view) for old, new, (_, make) in zip(before, now, PANELS, strict=True)
        ]
        return [now, *made]

    def watch_file(path: str | None) -> str:
        if not path:
            return ""
        try:
            live.start_file(Path(path), delete_after=True)
        except ReverieError as error:
            # The server's own folder is of no use to the reader.
            return problem_note(str(error).replace(f"{Path(path).parent}/", ""))
        return ""

    def finish_watching() -> str:
        live.finish()
        return ""

    outputs = [shown, *panels]
    timer = gr.Timer(TICK_S)
    timer.tick(refresh, [shown], outputs, show_progress="hidden", concurrency_limit=None, api_visibility="private")
    page.load(refresh, [shown], outputs, show_progress="hidden", concurrency_limit=None, api_visibility="private")
    upload.upload(watch_file, [upload], [problem], show_progress="hidden", api_visibility="private")
    finish.click(finish_watching, None, [problem], show_progress="hidden", api_visibility="private")


def _wire_chat(
    live: LiveSession,
    chat: gr.Chatbot,
    question: gr.Textbox,
    ask: gr.Button,
    examples: Sequence[gr.Button],
    evidence: gr.HTML,
) -> None:
    turns = gr.State([])  # [question, answer] pairs of this page, shared by its events: answers may come out of order

    def put(text: str, turns: list[Turn]) -> tuple[str, list[Turn], list[dict[str, str]]]:
        if text := text.strip()[:MAX_QUESTION_CHARS]:
            turns.append([text, ""])
        return "", turns, _messages(turns)

    def answer(turns: list[Turn]) -> tuple[list[Turn], list[dict[str, str]], Any]:
        turn = next((turn for turn in turns if not turn[1]), None)
        if turn is None:
            return turns, _messages(turns), gr.skip()
        turn[1] = "…"
        try:
            found, latency_ms = live.ask(turn[0])
        except ReverieError as error:
            turn[1] = str(error)
            return turns, _messages(turns), evidence_panel("", None)
        going_on = ", while watching" if live.view().phase is Phase.WATCHING else ""
        turn[1] = f"{found.text}\n({latency_ms:.0f} ms{going_on})"
        return turns, _messages(turns), evidence_panel(turn[0], found)

    for trigger, source in [(question.submit, question), (ask.click, question), *((b.click, b) for b in examples)]:
        trigger(
            put, [source, turns], [question, turns, chat], queue=False, show_progress="hidden", api_visibility="private"
        ).then(
            answer,
            [turns],
            [turns, chat, evidence],
            show_progress="hidden",
            concurrency_limit=MAX_QUESTIONS_AT_ONCE,
            concurrency_id="ask",
            api_visibility="private",
        )


def _messages(turns: Sequence[Turn]) -> list[dict[str, str]]:
    """The chat as Gradio wants it. It renders HTML in messages even without Markdown, so they are escaped."""
    messages = []
    for asked, answered in turns:
        messages.append({"role": "user", "content": escape(asked)})
        if answered:
            messages.append({"role": "assistant", "content": escape(answered)})
    return messages
