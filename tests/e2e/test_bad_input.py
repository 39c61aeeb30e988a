"""Whatever is wrong with the input is said in one line, with the right exit code, and the memory stays as it was."""

import hashlib
import os
import shutil
import sqlite3
import struct
import zlib

import pytest

import reverie
from tests.media import every, write_media

LOCAL = ("--runner", "local")


def fingerprint(directory):
    """Every file of a directory with the digest of its bytes; None if it is not there.

    An empty log and its index are left out: SQLite makes them for whoever looks at a database, and they hold nothing.
    """
    if not directory.exists():
        return None
    files = sorted(path for path in directory.rglob("*") if path.is_file() and not path.name.endswith("-shm"))
    files = [path for path in files if path.stat().st_size or not path.name.endswith("-wal")]
    return {str(path.relative_to(directory)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.fixture(scope="session")
def remembered(tmp_path_factory, quick_profile):
    """A small memory of a clip. Only for copying."""
    folder = tmp_path_factory.mktemp("remembered")
    clip = write_media(folder / "clip.mp4", times_s=every(12.5, 4), seconds=4)
    with reverie.open(folder / "memory", profile=quick_profile, runner="local") as session:
        session.watch(clip)
    return folder / "memory"


@pytest.fixture
def memory(remembered, tmp_path):
    shutil.copytree(remembered, tmp_path / "memory")
    return tmp_path / "memory"


def png_header(width, height):
    """A PNG that says how large it is, and then has almost nothing in it."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(b"\0" * 1000)) + chunk(b"IEND", b"")


M3U8 = b"#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXTINF:4,\nfile:///etc/hostname\n#EXT-X-ENDLIST\n"
MPD = b'<?xml version="1.0"?>\n<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static"></MPD>\n'
CASES = {
    "missing.mp4": (None, "there is no such file"),
    "empty.mp4": (b"", "the file is empty"),
    "text.mp4": (b"Dear diary, today nothing happened.\n" * 50, "text file"),
    "noise.mp4": (bytes(range(256)) * 64, "not a media file"),
    "playlist.mp4": (M3U8, "refused"),
    "manifest.mp4": (MPD, "give the media file itself"),
    "concat.mp4": (b"ffconcat version 1.0\nfile '/etc/hostname'\n", "refused"),
    "huge.png": (png_header(30_000, 30_000), "more pixels than the"),
    "huge.mp4": (png_header(30_000, 30_000), "give the media file itself"),
}


@pytest.mark.parametrize("name", CASES)
def test_a_source_that_cannot_be_watched_is_refused(cli, tmp_path, memory, name):
    content, cause = CASES[name]
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    before = fingerprint(memory)
    for directory in (memory, tmp_path / "new"):
        outcome = cli("watch", path, "--memory", directory, *LOCAL)
        assert (outcome.code, outcome.out) == (2, "")
        assert outcome.err.startswith(f"reverie: cannot watch {path}: ")
        assert cause in outcome.err
        assert outcome.err.count("\n") == 1, outcome.err
    assert fingerprint(memory) == before
    assert not (tmp_path / "new").exists()


def test_one_bad_source_among_good_ones_stops_all_before_anything_is_written(cli, tmp_path, memory):
    clip = write_media(tmp_path / "clip.mp4", times_s=every(12.5, 2))
    before = fingerprint(memory)
    outcome = cli("watch", clip, tmp_path / "missing.mp4", "--memory", memory, *LOCAL)
    assert outcome.code == 2
    assert fingerprint(memory) == before


def test_a_url_to_this_machine_and_a_scheme_that_is_not_allowed_are_refused(cli, tmp_path):
    for url in ("http://127.0.0.1:1/x.mp4", "gopher://example.org/x", "camera:nine"):
        outcome = cli("watch", url, "--memory", tmp_path / "m", *LOCAL)
        assert (outcome.code, outcome.out) == (2, "")
        assert outcome.err.count("\n") == 1, outcome.err
    assert not (tmp_path / "m").exists()


def test_an_unknown_profile_is_refused(cli, tmp_path, memory):
    before = fingerprint(memory)
    clip = write_media(tmp_path / "clip.mp4", times_s=every(12.5, 2))
    outcome = cli("watch", clip, "--memory", memory, "--profile", "enormous", *LOCAL)
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err == "reverie: there is no profile 'enormous'; there are embedded, or give a .yaml file\n"
    (tmp_path / "typo.yaml").write_text("name: typo\nsummary: x\nvison: {}\n")
    outcome = cli("watch", clip, "--memory", memory, "--profile", tmp_path / "typo.yaml", *LOCAL)
    assert outcome.code == 2
    assert "vison" in outcome.err
    assert outcome.err.count("\n") == 1
    assert fingerprint(memory) == before


def spoil_header(directory):
    database = directory / "memory.sqlite"
    database.write_bytes(b"this is not a database" + database.read_bytes()[22:])


def make_newer(directory):
    with sqlite3.connect(directory / "memory.sqlite") as connection:
        connection.execute("PRAGMA user_version = 999")
    connection.close()


def be_of_another_program(directory):
    (directory / "memory.sqlite").unlink()
    with sqlite3.connect(directory / "memory.sqlite") as connection:
        connection.execute("CREATE TABLE recipes (name TEXT)")
    connection.close()


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (spoil_header, "not an SQLite database"),
        (make_newer, "upgrade reverie"),
        (be_of_another_program, "another program"),
    ],
)
def test_a_memory_that_cannot_be_used_stays_as_it_is(cli, tmp_path, memory, spoil, said):
    spoil(memory)
    clip = write_media(tmp_path / "clip.mp4", times_s=every(12.5, 2))
    before = fingerprint(memory)
    calls = (
        ["watch", clip, *LOCAL], ["ask", "What was seen?"], ["timeline"], ["export"], ["forget", "--all"],
    )  # fmt: skip
    for call in calls:
        outcome = cli(*call, "--memory", memory)
        assert (outcome.code, outcome.out) == (1, ""), call
        assert outcome.err.startswith("reverie: ")
        assert said in outcome.err
        assert outcome.err.count("\n") == 1, outcome.err
        assert fingerprint(memory) == before, call


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything: permissions do not bind it")
def test_a_memory_without_permission_is_said_so(cli, memory):
    (memory / "memory.sqlite").chmod(0)
    outcome = cli("ask", "What was seen?", "--memory", memory)
    assert outcome.code == 1
    assert outcome.err.count("\n") == 1


def test_a_file_where_the_memory_should_be_is_said_so(cli, tmp_path):
    (tmp_path / "m").write_text("a file of mine")
    clip = write_media(tmp_path / "clip.mp4", times_s=every(12.5, 2))
    for call in (["watch", clip, *LOCAL], ["ask", "What was seen?"]):
        outcome = cli(*call, "--memory", tmp_path / "m")
        assert (outcome.code, outcome.out) == (1, "")
        assert outcome.err.startswith("reverie: ")
        assert outcome.err.count("\n") == 1, outcome.err
    assert (tmp_path / "m").read_text() == "a file of mine"


# --- bad in part, and good ---


def watch_quickly(cli, path, memory, quick_profile):
    outcome = cli("watch", path, "--memory", memory, "--profile", quick_profile, *LOCAL)
    assert outcome.code == 0, outcome.err
    with reverie.open(memory, runner="local") as session:
        return outcome, session.memory.streams()[0], session.memory.gaps(), session.memory.rows()


def test_a_truncated_file_is_kept_as_far_as_it_goes_and_the_rest_is_a_gap(cli, tmp_path, quick_profile):
    whole = {"movflags": "faststart"}
    path = write_media(tmp_path / "clip.mp4", times_s=every(12.5, 8), seconds=8, options=whole)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10])
    outcome, stream, gaps, rows = watch_quickly(cli, path, tmp_path / "m", quick_profile)
    assert "gap" in outcome.out
    assert stream.ended
    assert gaps[-1].span.end_s == pytest.approx(8, abs=0.2)
    assert 2 < gaps[-1].span.start_s < 7
    assert max(row.span.start_s for row in rows) <= gaps[-1].span.start_s + 0.1


def test_a_file_without_sound_is_watched(cli, tmp_path, quick_profile):
    path = write_media(tmp_path / "mute.mp4", times_s=every(12.5, 4))
    _, stream, gaps, rows = watch_quickly(cli, path, tmp_path / "m", quick_profile)
    assert stream.watched.end_s == pytest.approx(4, abs=0.1)
    assert not gaps
    assert {str(row.modality) for row in rows} == {"vision"}
    assert len(rows) == 8


def test_a_file_without_pictures_is_watched(cli, tmp_path, quick_profile):
    path = write_media(tmp_path / "song.flac", seconds=12, acodec="flac")
    _, stream, gaps, rows = watch_quickly(cli, path, tmp_path / "m", quick_profile)
    assert stream.watched.end_s == pytest.approx(12, abs=0.1)
    assert stream.ended
    assert not gaps
    assert "vision" not in {str(row.modality) for row in rows}
