"""The command line: its verbs and options are pinned, its results are what the README says, its exit codes hold."""

import json
import os
import shutil
import signal
import subprocess
import sys
from io import BytesIO
from itertools import pairwise

import pyarrow.parquet as parquet
import pysubs2
import pytest
import typer
import yaml

import reverie
from demos.sample.compose import truth_path
from demos.sample.truth import Truth
from reverie.cli import Format, app
from reverie.pipeline.build import open_memory
from reverie.pipeline.config import load_profile
from reverie.types import EndOfStream, StreamStart, ns
from reverie.verbs.options import RunnerName
from tests.memory.worlds import seen

VERBS = {
    "watch": [
        "SOURCE...",
        "--memory!",
        "--key-file",
        "--profile",
        "--runner",
        "--stream",
        "--place",
        "--timezone",
        "--json",
    ],
    "ask": ["question", "--memory!", "--key-file", "--profile", "--stream", "--json"],
    "teach": [
        "name",
        "--memory!",
        "--key-file",
        "--image",
        "--sound",
        "--at",
        "--stream",
        "--sense",
        "--alias",
        "--profile",
        "--json",
    ],
    "entities": ["--memory!", "--key-file", "--json"],
    "facts": ["--memory!", "--key-file", "subject", "--history", "--read", "--profile", "--json"],
    "notes": ["--memory!", "--key-file", "--read", "--profile", "--json"],
    "timeline": ["--memory!", "--key-file", "--from", "--to", "--stream", "--png", "--json"],
    "export": ["--memory!", "--key-file", "--format", "--out", "--stream"],
    "forget": [
        "--memory!",
        "--key-file",
        "--from",
        "--to",
        "--stream",
        "--text",
        "--entity",
        "--all",
        "--copies",
        "--dry-run",
        "--json",
    ],
    "imagine": [
        "prompt",
        "--out",
        "--seconds",
        "--endless",
        "--actions",
        "--then",
        "--then-actions",
        "--seed",
        "--profile",
        "--from-memory",
        "--about",
        "--resemble",
        "--key-file",
        "--keep",
        "--resume",
        "--runner",
        "--json",
    ],
    "train": ["stage", "--run!", "--start", "--steps", "--batch", "--learning-rate", "--max-s", "--seed", "--json"],
    "memory stats": ["--memory!", "--key-file", "--json"],
    "memory backup": ["target", "--memory!", "--key-file", "--json"],
    "memory restore": ["backup", "--memory!", "--key-file", "--json"],
    "memory reencode": ["--memory!", "--key-file", "--profile", "--json"],
    "memory encrypt": ["target", "--memory!", "--key-file", "--json"],
    "memory verify": ["--memory!", "--key-file", "--repair", "--json"],
    "memory consolidate": ["--memory!", "--key-file", "--max-s", "--profile", "--json"],
    "memory pin": ["--memory!", "--key-file", "--from", "--to", "--stream", "--profile", "--json"],
    "memory unpin": ["--memory!", "--key-file", "--from", "--to", "--stream", "--json"],
    "memory pins": ["--memory!", "--key-file", "--json"],
    "doctor": ["--json"],
    "config show": ["--profile", "--json"],
    "demo": ["--memory", "--key-file", "--profile", "--runner", "--port"],
}
CITATION = ["stream_id", "start_s", "end_s", "modality", "text", "thumbnail", "score"]


def surface(command, name=""):
    """Every verb with its arguments and options, as a user types them; `!` marks an option that must be given."""
    if hasattr(command, "commands"):
        found = {}
        for child_name, child in command.commands.items():
            found |= surface(child, f"{name} {child_name}".strip())
        return found
    shown = []
    for parameter in command.params:
        if parameter.param_type_name == "argument":
            shown.append(parameter.metavar or parameter.name)
        else:
            shown += [option + "!" * parameter.required for option in (*parameter.opts, *parameter.secondary_opts)]
    return {name: shown}


def test_verbs_and_options_are_frozen():
    assert surface(typer.main.get_command(app)) == VERBS


def test_choices_are_frozen():
    assert [name.value for name in RunnerName] == ["ray", "local"]
    assert [name.value for name in Format] == ["srt", "vtt", "json", "parquet"]


# --- without a memory ---


@pytest.mark.parametrize(
    "arguments",
    [
        ["wach"],
        ["watch", "x.mp4"],
        ["watch", "--memory", "m"],
        ["watch", "x.mp4", "--memory", "m", "--runner", "dask"],
        ["export", "--memory", "m", "--format", "docx"],
        ["ask", "--memory", "m"],
        ["forget", "--memory", "m", "--from", "soon"],
        ["timeline", "--memory", "m", "--colour"],
        ["memory", "consolidate", "--memory", "m", "--max-s", "-1"],
    ],
)
def test_a_wrong_call_is_exit_code_2_and_touches_nothing(cli, tmp_path, monkeypatch, arguments):
    monkeypatch.chdir(tmp_path)
    outcome = cli(*arguments)
    assert outcome.code == 2
    assert outcome.out == ""
    assert "Usage: reverie" in outcome.err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["forget"], "--from and --to, --stream, --text, or --entity alone"),
        (["forget", "--all", "--from", "3"], "--all alone"),
        (["forget", "--from", "9", "--to", "3"], "has to be after --from"),
        (["forget", "--to", "inf"], "--to (inf s) is no time"),
        (["memory", "pin", "--from", "nan"], "--from (nan s) is no time"),
        (["timeline", "--to", "1e300"], "--to (1e+300 s) is no time"),
        (["export", "--format", "parquet"], "--out"),
        (["facts", "--read"], "`reader:`"),
        (["notes", "--read"], "docs/profiles.md"),
    ],
)
def test_calls_that_contradict_themselves_are_exit_code_2(cli, tmp_path, arguments, said):
    outcome = cli(*arguments, "--memory", tmp_path / "m")
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err.startswith("reverie: ")
    assert said in outcome.err
    assert outcome.err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "verb", [["ask", "What was seen?"], ["timeline"], ["export"], ["forget", "--all"], ["forget", "--stream", "x"]]
)
def test_a_memory_that_is_not_there_is_exit_code_1_and_is_not_made(cli, tmp_path, verb):
    outcome = cli(*verb, "--memory", tmp_path / "m")
    assert (outcome.code, outcome.out) == (1, "")
    assert outcome.err == f"reverie: there is no memory at {tmp_path / 'm'}: watch something into it first\n"
    assert list(tmp_path.iterdir()) == []


def test_config_show_prints_a_profile_that_can_be_loaded_again(cli, tmp_path):
    outcome = cli("config", "show")
    assert (outcome.code, outcome.err) == (0, "")
    copy = tmp_path / "copy.yaml"
    copy.write_text(outcome.out)
    assert load_profile(copy) == load_profile("embedded")
    assert json.loads(cli("config", "show", "--json").out) == yaml.safe_load(outcome.out)


def test_doctor_finds_everything_that_the_embedded_profile_needs(cli):
    outcome = cli("doctor", "--json")
    report = json.loads(outcome.out)
    assert (outcome.code, report["ok"], report["faults"]) == (0, True, [])
    assert report["sqlite"]["fts5"]
    assert set(report["models"].values()) == {"ok"}
    assert report["profiles"]["embedded"]["perceives"] == ["vision", "objects", "writing", "speech", "sound"]
    assert report["profiles"]["embedded"]["cannot_perceive"]
    assert "cannot perceive" in cli("doctor").out


def test_help_of_every_verb_names_its_options(cli):
    for verb, options in VERBS.items():
        outcome = cli(*verb.split(), "--help")
        assert outcome.code == 0
        assert all(option.rstrip("!") in outcome.out for option in options if option.startswith("--"))


# --- with one ---


def test_a_watch_through_the_script_writes_results_to_stdout_and_progress_to_stderr(tmp_path, quick_profile):
    from tests.media import every, write_media

    path = write_media(tmp_path / "clip.mp4", times_s=every(12.5, 4), seconds=4)
    call = [sys.executable, "-m", "reverie.cli", "watch", path, "--stream", "door", "--place", "hall"]
    call += ["--timezone", "Asia/Tokyo", "--memory", tmp_path / "m", "--runner", "local"]
    done = subprocess.run([*call, "--profile", quick_profile, "--json"], capture_output=True, text=True, check=True)
    result = json.loads(done.stdout)
    assert result["watched_s"] == pytest.approx(4, abs=0.1)
    assert result["frames_sampled"] == 8
    assert result["streams"] == {"door": result["watched_s"]}
    with reverie.open(tmp_path / "m", profile=quick_profile) as session:
        (stream,) = session.memory.streams()
    assert (stream.place, stream.timezone) == ("hall", "Asia/Tokyo")
    assert set(result["stages"]) == {"source:0", "vision", "sound", "memory"}
    assert "watched 0:04" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--stream", "door"], "--stream was given 1 time for 2 sources"),
        (["--place", "hall", "--place", "roof", "--place", "barn"], "--place was given 3 times for 2 sources"),
        (["--timezone", "Mars/Olympus"], "there is no time zone 'Mars/Olympus'"),
    ],
)
def test_what_is_told_of_sources_has_to_fit_them(cli, tmp_path, options, said):
    call = ["watch", "a.mp4", "b.mp4", "--memory", str(tmp_path / "m"), *options]
    outcome = cli(*call)
    assert outcome.code == 2
    assert said in outcome.err
    assert not (tmp_path / "m").exists()


# --- streams by the names of their files ---


@pytest.fixture
def clips(tmp_path):
    """The memory of three files of 20 s, two of which are called alike."""
    files = {"my-ca6747d122": "my.mp4", "cat-1": "a/cat.mp4", "cat-2": "b/cat.mp4"}
    with open_memory(tmp_path / "m", load_profile("embedded"), "w") as memory:
        for stream_id, file in files.items():
            memory.write([
                StreamStart(
                    stream_id=stream_id, uri=str(tmp_path / file), live=False, has_video=True, has_audio=True,
                    wall_anchor_ns=None,
                ),
                *(seen("tabby cat", at_s, stream_id=stream_id, cut=at_s == 10) for at_s in range(20)),
                EndOfStream(stream_id=stream_id, pts_ns=ns(20)),
            ])  # fmt: skip
    return tmp_path / "m"


BY_STREAM = [
    ("ask", "What was seen?"),
    ("teach", "Minka", "--at", "12"),
    ("timeline",),
    ("export",),
    ("forget", "--dry-run"),
    ("memory", "pin"),
    ("memory", "unpin"),
]


@pytest.mark.parametrize("verb", BY_STREAM, ids=" ".join)
def test_a_stream_may_be_called_by_its_file_and_one_that_is_not_there_by_no_name(cli, clips, verb):
    for name in ("my", "my.mp4", str(clips.parent / "my.mp4"), "my-ca6747d122"):
        outcome = cli(*verb, "--memory", clips, "--stream", name)
        assert (outcome.code, outcome.err) == (0, ""), name
    outcome = cli(*verb, "--memory", clips, "--stream", "dog.mp4")
    assert (outcome.code, outcome.out) == (2, "")
    assert "'dog.mp4'; the memory has 'my-ca6747d122', 'cat-1', 'cat-2'" in outcome.err
    outcome = cli(*verb, "--memory", clips, "--stream", "cat.mp4")
    assert (outcome.code, outcome.out) == (2, "")
    assert "'cat.mp4' may be any of 'cat-1', 'cat-2'" in outcome.err


def test_the_file_that_is_named_is_the_one_that_is_listed(cli, clips, monkeypatch):
    monkeypatch.chdir(clips.parent)
    for name in ("my.mp4", "b/cat.mp4"):
        events = json.loads(cli("timeline", "--memory", clips, "--stream", name, "--json").out)["events"]
        assert {event["stream_id"] for event in events} == {"my-ca6747d122" if name == "my.mp4" else "cat-2"}


def test_a_watch_ends_with_the_names_of_its_streams(cli, tmp_path, quick_profile):
    from tests.media import every, write_media

    path = write_media(tmp_path / "my.mp4", times_s=every(12.5, 2), seconds=2)
    watch = ["watch", path, "--memory", tmp_path / "m", "--runner", "local", "--profile", quick_profile]
    for _ in range(2):  # the second time nothing of it is new
        told = cli(*watch).out
        with reverie.open(tmp_path / "m", profile=quick_profile) as session:
            (stream,) = session.memory.streams()
        assert f"streams: {stream.stream_id}" in told.splitlines()


# --- what is said of nothing, and of one ---


def test_an_empty_list_is_said_to_be_empty(cli, clips):
    said = {
        ("facts",): "no facts\n",
        ("facts", "keys"): "no facts about 'keys': without a subject all are listed\n",
        ("notes",): "no notes\n",
        ("entities",): "nothing was taught\n",
        ("timeline", "--from", "900"): "no events: nothing was watched there\n",
        ("memory", "reencode"): "all vectors are up to date; left as they were: 60 vectors\n",
    }
    for verb, line in said.items():
        outcome = cli(*verb, "--memory", clips)
        assert (outcome.code, outcome.out, outcome.err) == (0, line, ""), verb
    assert json.loads(cli("facts", "keys", "--memory", clips, "--json").out) == {"facts": []}


def test_one_of_a_kind_is_said_as_one(cli, clips):
    assert cli("teach", "Minka", "--at", "12", "--stream", "my", "--memory", clips).out == (
        "Minka: 1 look, 0 sounds (thing)\n"
    )
    assert "of 3 streams: 60 vision" in cli("memory", "stats", "--memory", clips).out
    cli("forget", "--stream", "cat-1", "--stream", "cat-2", "--memory", clips)
    assert "of 1 stream: 20 vision; 2 events, " in cli("memory", "stats", "--memory", clips).out
    assert "forgotten: 1 template, 1 entity\n" in cli("forget", "--entity", "Minka", "--memory", clips).out


def test_copies_are_named_where_something_was_forgotten_and_only_there(cli, clips):
    cli("memory", "backup", clips.parent / "copy", "--memory", clips)
    assert cli("forget", "--text", "zeppelin", "--memory", clips).out == "forgotten: nothing\n"
    assert json.loads(cli("forget", "--text", "zeppelin", "--memory", clips, "--json").out)["copies"]
    assert str(clips.parent / "copy") in cli("forget", "--from", "3", "--to", "4", "--memory", clips).out


# --- the sample stream ---


@pytest.fixture
def truth(stream):
    return Truth.read(truth_path(stream))


@pytest.mark.slow
def test_ask_json_has_exactly_these_keys_and_finds_what_was_said(cli, watched, truth):
    said = next(fact for fact in truth.of("said") if "newspaper" in fact.text)
    outcome = cli("ask", "What was said about the newspaper?", "--memory", watched, "--json")
    assert outcome.code == 0
    answer = json.loads(outcome.out)
    assert list(answer) == ["answer", "abstained", "confidence", "citations", "latency_ms"]
    assert answer["abstained"] is False
    assert 0 < answer["confidence"] <= 1
    assert answer["latency_ms"] > 0
    assert all(list(citation) == CITATION for citation in answer["citations"])
    scores = [citation["score"] for citation in answer["citations"]]
    assert scores == sorted(scores, reverse=True)
    best = answer["citations"][0]
    assert best["modality"] == "speech"
    assert "newspaper" in best["text"]
    assert "statue" in answer["answer"]
    assert said.start_s - 1 < best["start_s"] < best["end_s"] < said.end_s + 1


@pytest.mark.slow
def test_ask_json_without_an_answer_abstains_and_still_exits_with_0(cli, watched):
    outcome = cli("ask", "What was said about the volcano?", "--memory", watched, "--json")
    answer = json.loads(outcome.out)
    assert outcome.code == 0
    assert answer["abstained"] is True
    assert list(answer) == ["answer", "abstained", "confidence", "citations", "latency_ms"]


@pytest.mark.slow
def test_ask_for_people_shows_time_and_quote(cli, truth, watched):
    caption = truth.of("written")[0]
    outcome = cli("ask", "What text was on the screen?", "--memory", watched)
    assert outcome.code == 0
    assert caption.text in outcome.out
    assert f"[0:{round(caption.start_s):02d}-" in outcome.out


@pytest.mark.slow
@pytest.mark.parametrize("verb", [("ask", "What was seen?"), ("timeline",), ("export",)])
def test_a_stream_that_is_not_there_is_named(cli, watched, verb):
    outcome = cli(*verb, "--memory", watched, "--stream", "nobody")
    assert outcome.code == 2
    assert "'nobody'" in outcome.err
    assert outcome.out == ""


@pytest.mark.slow
def test_timeline_covers_the_stream_in_order(cli, watched):
    events = json.loads(cli("timeline", "--memory", watched, "--json").out)["events"]
    assert len(events) >= 2
    assert events[0]["start_s"] == 0
    assert events[-1]["end_s"] == pytest.approx(20, abs=0.6)
    assert all(left["end_s"] == right["start_s"] for left, right in pairwise(events))
    assert not any(event["open"] for event in events)
    lines = cli("timeline", "--memory", watched).out.splitlines()
    assert len(lines) == len(events)
    assert lines[0].startswith("[0:00-0:")


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["srt", "vtt"])
def test_subtitles_are_read_by_others_and_hold_the_sentences(cli, watched, truth, kind):
    outcome = cli("export", "--memory", watched, "--format", kind)
    assert (outcome.code, outcome.err) == (0, "")
    lines = list(pysubs2.SSAFile.from_string(outcome.out, format_=kind))
    for fact in truth.of("said"):
        word = max(fact.text.strip(".").split(), key=len).lower()
        said = [line for line in lines if word in line.text.lower()]
        assert said, f"{word} of {fact.text!r} is in no subtitle"
        assert fact.start_s - 1 < said[0].start / 1000 < fact.end_s


@pytest.mark.slow
def test_json_and_parquet_hold_the_same_observations(cli, watched, tmp_path):
    content = json.loads(cli("export", "--memory", watched, "--format", "json").out)
    out = tmp_path / "memory.parquet"
    outcome = cli("export", "--memory", watched, "--format", "parquet", "--out", out)
    assert (outcome.code, outcome.out, outcome.err) == (0, "", "")
    table = parquet.read_table(BytesIO(out.read_bytes()))
    assert table.num_rows == len(content["observations"]) > 40
    assert {"vision", "objects", "writing", "speech"} <= set(table["modality"].to_pylist())


@pytest.mark.slow
def test_forget_deletes_for_good_and_prints_a_receipt(cli, watched, tmp_path):
    memory = tmp_path / "m"
    shutil.copytree(watched, memory)
    receipt = json.loads(cli("forget", "--memory", memory, "--from", "6", "--to", "13", "--json").out)
    assert receipt["observations"] > 5
    assert "newspaper" not in cli("export", "--memory", memory, "--format", "srt").out.lower()
    assert b"newspaper" not in b"".join(file.read_bytes() for file in memory.rglob("*") if file.is_file()).lower()
    outcome = cli("forget", "--memory", memory, "--all")
    assert outcome.code == 0
    assert outcome.out.startswith("forgotten: ")
    assert json.loads(cli("timeline", "--memory", memory, "--json").out) == {"events": []}


@pytest.mark.slow
def test_a_reader_that_leaves_early_is_no_error(watched):
    call = f"{sys.executable} -m reverie.cli export --memory {watched} --format json | true"
    done = subprocess.run(["bash", "-o", "pipefail", "-c", call], capture_output=True, text=True, env=os.environ)
    assert done.stderr == ""
    assert done.returncode == 0


@pytest.mark.slow
def test_ctrl_c_says_that_what_was_watched_stays(stream, tmp_path):
    call = [sys.executable, "-m", "reverie.cli", "watch", str(stream), "--memory", str(tmp_path / "m")]
    ignored = signal.signal(signal.SIGINT, signal.default_int_handler)  # what a shell starts with `&` ignores it
    process = subprocess.Popen([*call, "--runner", "local"], stderr=subprocess.PIPE)  # every sense: it takes a while
    signal.signal(signal.SIGINT, ignored)
    assert process.stderr is not None
    process.stderr.readline()  # it has begun
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert said.decode().splitlines()[-1] == "reverie: stopped; what was watched is remembered, watch again to go on"
