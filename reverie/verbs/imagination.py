"""`reverie imagine` and `reverie train`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from reverie.errors import UsageError
from reverie.verbs.options import JsonOption, KeyFileOption, RunnerName, print_result

if TYPE_CHECKING:
    from reverie.pipeline.imagine import ClipSession, Turn


def imagine(
    prompt: Annotated[str, typer.Argument(help='What is to be seen: "a red circle over grass".')] = "",
    out: Annotated[
        Path, typer.Option("--out", help="A .mp4, a .webp, or a folder for PNG files; not there yet.")
    ] = Path("imagined.mp4"),
    seconds: Annotated[float, typer.Option("--seconds", help="How long; kept to the frame.")] = 8.0,
    endless: Annotated[bool, typer.Option("--endless", help="Go on until Ctrl+C.")] = False,
    actions: Annotated[
        str, typer.Option("--actions", help='Of the camera, one a frame, the last one goes on: "left*8, up, stay".')
    ] = "",
    then: Annotated[
        list[str] | None,
        typer.Option("--then", help='From a second on another prompt: "4: a blue ring"; may be repeated.'),
    ] = None,
    then_actions: Annotated[
        list[str] | None,
        typer.Option("--then-actions", help='From a second on other actions: "4: right*8, stay"; may be repeated.'),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help="Equal seeds give equal videos.")] = 0,
    profile: Annotated[
        str, typer.Option("--profile", help="A profile of imagination by name, or the path of a YAML file.")
    ] = "world",
    from_memory: Annotated[
        Path | None, typer.Option("--from-memory", help="Go on from what this memory holds; with --about.")
    ] = None,
    about: Annotated[
        str,
        typer.Option("--about", help='What of it: "continue what happened at 14:03", "the kitchen, from the left".'),
    ] = "",
    resemble: Annotated[
        bool, typer.Option("--resemble", help="Begin like what is remembered, rather than go on from it.")
    ] = False,
    key_file: KeyFileOption = None,
    keep: Annotated[
        Path | None, typer.Option("--keep", help="Keep the session in this file, also when it is interrupted.")
    ] = None,
    resume: Annotated[
        Path | None, typer.Option("--resume", help="Go on from a kept session; --seconds is of the whole video.")
    ] = None,
    runner: Annotated[RunnerName, typer.Option("--runner", help="A Ray actor, or this process.")] = RunnerName.LOCAL,
    as_json: JsonOption = False,
) -> None:
    """Make a video, as long as you like, written as it is made."""
    from reverie.pipeline.imagine import actions_of, film
    from reverie.pipeline.imagine import imagine as begin
    from reverie.pipeline.imagine import resume as go_on

    length = None if endless else seconds
    turns = [_turn(told, is_prompt=True) for told in then or ()] + [_turn(told, False) for told in then_actions or ()]
    if resume is None:
        session = begin(
            prompt,
            actions=actions,
            seconds=length,
            seed=seed,
            profile=profile,
            from_memory=from_memory,
            about=about,
            resemble=resemble,
            runner=runner.value,
        )
    else:
        session = go_on(resume, seconds=length, profile=profile, runner=runner.value)
        if prompt or actions:
            session.steer(prompt=prompt or None, actions=actions_of(actions) if actions else None)
    made = film(session, out, turns=turns, keep=keep, memory=from_memory, profile=profile, progress=_say)
    text = "{file}: {frames} frames, {seconds} s; the first clip after {first_clip_s} s, {frames_per_s} frames a second"
    print_result(made if as_json else text.format(**made), as_json)


def _turn(told: str, is_prompt: bool) -> Turn:
    from reverie.pipeline.imagine import Turn, actions_of

    at, colon, what = told.partition(":")
    try:
        at_s = float(at)
    except ValueError:
        at_s = -1.0
    if not colon or at_s < 0:
        raise UsageError(f'cannot read {told!r}: write seconds, a colon, and what is then told, as in "4: a blue ring"')
    return Turn(at_s=at_s, prompt=what.strip()) if is_prompt else Turn(at_s=at_s, actions=actions_of(what))


def _say(session: ClipSession) -> None:
    """A line that writes itself anew on a terminal."""
    of_all = f" of {session.num_frames}" if session.num_frames else ""
    pace = session.pace
    told = f"{session.made}{of_all} frames, {pace.frames_per_s:.1f} a second, the first clip after {pace.first_s:.1f} s"
    sys.stderr.write(f"\r{told}" if sys.stderr.isatty() else f"{told}\n")
    sys.stderr.flush()


def train(
    stage: Annotated[
        str,
        typer.Argument(help="vae, base, cam, add, apm, lcm, rglcd or slow; each from weights of those before."),
    ],
    run: Annotated[Path, typer.Option("--run", help="The run's folder; a run that was cut off goes on.")],
    start: Annotated[Path | None, typer.Option("--start", help="Weights to begin with.")] = None,
    steps: Annotated[int | None, typer.Option("--steps", min=1, help="In all; the stage's own without it.")] = None,
    batch: Annotated[int | None, typer.Option("--batch", min=1, help="Films a step.")] = None,
    learning_rate: Annotated[float | None, typer.Option("--learning-rate", help="At its highest.")] = None,
    max_s: Annotated[float, typer.Option("--max-s", help="Stop after so many seconds, to go on later.")] = float("inf"),
    seed: Annotated[int, typer.Option("--seed", help="Of films, noise and first weights.")] = 0,
    as_json: JsonOption = False,
) -> None:
    """Train the small model on the measurable world."""
    from reverie.pipeline.training import train as train_stage

    told = {"steps": steps, "batch": batch, "learning_rate": learning_rate}
    done = train_stage(stage, run, start, told, seed, max_s, lambda line: print_result(line, False))
    print_result(done if as_json else "{stage}: {steps} of {all_steps} steps; {weights}".format(**done), as_json)
