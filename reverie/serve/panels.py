"""The page's panels as HTML: picture, status, transcript, events, evidence.

All that was heard, read or named by a file comes from outside and is escaped here, in one place.
Pictures are data URIs or come from this server; nothing else is loaded.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from html import escape
from urllib.parse import quote

from reverie.pipeline.show import byte_count, minutes
from reverie.serve.live import Phase, View
from reverie.serve.witness import Line
from reverie.types import NS_PER_S, Answer, Citation, Event, Label, Modality

PICTURES_PATH = "/live/pictures/"
MAX_CARDS = 6
MAX_LINES_SHOWN = 40
MAX_NAMES = 5
_VERB = {
    Modality.VISION: "seen",
    Modality.OBJECTS: "seen",
    Modality.WRITING: "read",
    Modality.SPEECH: "heard",
    Modality.SOUND: "heard",
}
_PHASE = {
    Phase.IDLE: "idle",
    Phase.STARTING: "waking the senses",
    Phase.WATCHING: "watching",
    Phase.FINISHING: "finishing",
    Phase.DONE: "remembered",
    Phase.FAILED: "stopped",
}


def picture_panel(view: View) -> str:
    """The newest picture with its boxes, or what stands in its place."""
    if view.picture is not None:
        source = "data:image/jpeg;base64," + b64encode(view.picture).decode()
        at = minutes((view.seen_ns or 0) / NS_PER_S)
        names = escape(", ".join(f"{box.name} {box.track_id}" for box in view.boxes) or "nothing tracked", quote=True)
        return (
            f'<div class="rv-stage" data-boxes="{len(view.boxes)}">'
            f'<img alt="the picture at {at}: {names}" decoding="sync" src="{source}">'
            f'<span class="rv-stamp">{at}</span></div>'
        )
    if view.phase is Phase.IDLE:
        words = "Start the camera, or choose a file."
    elif view.phase is Phase.STARTING:
        words = "Waking the senses: models are being loaded. What is said meanwhile is kept (the last half minute)."
    elif view.phase is Phase.FAILED:
        words = "Nothing is being watched."
    else:
        words = "Listening: there is no picture yet."
    return f'<div class="rv-stage rv-empty"><p>{words}</p></div>'


def status_panel(view: View) -> str:
    """Phase and counts: time watched, speed, moments, events, words, bytes kept."""
    dot = f'<span class="rv-dot rv-{view.phase}"></span><b>{_PHASE[view.phase]}</b>'
    name = f'<span class="rv-name">{escape(view.stream_id)}</span>' if view.stream_id else ""
    counts = ""
    if view.progress is not None:
        count = view.progress.counters.value
        cells = [
            (minutes(view.progress.watched_s), "watched"),
            (f"{view.progress.speed:.1f}×", "real time"),
            (f"{count('moments'):.0f}", "moments"),
            (f"{len(view.events)}", "events"),
            (f"{count('words_heard'):.0f}", "words heard"),
            (f"{count('words_read'):.0f}", "read"),
            (byte_count(count("bytes_kept")), "kept"),
        ]
        counts = "".join(f"<li><b>{value}</b> {unit}</li>" for value, unit in cells)
    problem = view.problem or (view.progress.paused if view.progress else "")
    alarm = problem_note(problem) if problem else ""
    return f'<div class="rv-status" data-phase="{view.phase}"><p>{dot}{name}</p><ul>{counts}</ul>{alarm}</div>'


def problem_note(text: str) -> str:
    """What went wrong, and what to do."""
    return f'<p class="rv-problem" role="alert">{escape(text)}</p>'


def transcript_panel(lines: Sequence[Line]) -> str:
    """What was said and written, newest first."""
    if not lines:
        return '<p class="rv-none">Nothing has been heard or read yet.</p>'
    rows = (
        f'<li class="rv-{line.modality}"><time>{minutes(line.span.start_s)}</time><span>{_quoted(line)}</span></li>'
        for line in list(lines)[::-1][:MAX_LINES_SHOWN]
    )
    return f'<ol class="rv-list">{"".join(rows)}</ol>'


def events_panel(events: Sequence[Event]) -> str:
    """Events, newest first; the one still going on is marked."""
    if not events:
        return '<p class="rv-none">No events yet.</p>'
    return f'<ol class="rv-list rv-events">{"".join(_event(event) for event in events[::-1])}</ol>'


def evidence_panel(question: str, answer: Answer | None) -> str:
    """Key frames that an answer cites, each with its time and what was perceived there."""
    if answer is None:
        return '<p class="rv-none">The evidence for an answer is shown here.</p>'
    if not answer.citations:
        return f'<p class="rv-none">No evidence was found for “{escape(question)}”.</p>'
    cards = "".join(_card(citation) for citation in answer.citations[:MAX_CARDS])
    return f'<p class="rv-asked">Evidence for “{escape(question)}”</p><div class="rv-cards">{cards}</div>'


def picture_url(thumbnail: str) -> str:
    """Where this server offers a picture of the memory (`thumbnail` is relative to the memory's directory)."""
    return PICTURES_PATH + quote(thumbnail)


def _quoted(line: Line) -> str:
    kind = "on screen: " if line.modality is Modality.WRITING else ""
    return f"{kind}“{escape(line.text)}”"


def _event(event: Event) -> str:
    until = "now" if event.open else minutes(event.span.end_s)
    picture = f'<img alt="" loading="lazy" src="{picture_url(event.thumbnail)}">' if event.thumbnail else "<i></i>"
    said = f"<q>{escape(event.text)}</q>" if event.text else ""
    return (
        f'<li class="{"rv-open" if event.open else ""}">{picture}<span><time>{minutes(event.span.start_s)}–{until}'
        f"</time> {escape(_names(event.labels))}{said}</span></li>"
    )


def _names(labels: Sequence[Label]) -> str:
    """Things and sounds first, then colours; one name once."""
    ranked = sorted(labels, key=lambda label: (label.kind == "colour", -label.score))
    return ", ".join(dict.fromkeys(label.name for label in ranked[:MAX_NAMES]))


def _card(citation: Citation) -> str:
    span = f"{minutes(citation.span.start_s)}–{minutes(citation.span.end_s)}"
    picture = (
        f'<img alt="key frame at {span}" src="{picture_url(citation.thumbnail)}">'
        if citation.thumbnail
        else '<i class="rv-nopicture">sound only</i>'
    )
    text = escape(citation.text)
    if citation.modality in (Modality.SPEECH, Modality.WRITING):
        text = f"“{text}”"
    return (
        f'<figure class="rv-card" data-start-s="{citation.span.start_s:.3f}" data-end-s="{citation.span.end_s:.3f}" '
        f'data-stream="{escape(citation.stream_id, quote=True)}">{picture}<figcaption>'
        f"<b>{span}</b> <em>{_VERB[citation.modality]}</em><span>{text}</span>"
        f"<small>{escape(citation.stream_id)}</small></figcaption></figure>"
    )
