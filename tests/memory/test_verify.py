"""Every kind of damage is found and named; what can be mended is, and nothing else is touched."""

from __future__ import annotations

import json
import shutil
import sqlite3

import pytest

from reverie.errors import MemoryStoreError, MemoryTooNew
from reverie.memory import Memory
from reverie.memory.demotion import demote
from reverie.memory.schema import SCHEMA_VERSION
from reverie.memory.stretches import Demoted
from reverie.memory.verify import MAX_LISTED, verify, verify_and_repair
from reverie.types import EndOfStream, ns
from tests.memory.reading import assert_whole, rows_of
from tests.memory.worlds import BagOfWords, jpeg, make_stream, said, seen, span


def open_memory(path, mode="w"):
    return Memory.open(path, text_encoder=BagOfWords(), mode=mode)


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    """A memory of every kind of row, a loss and something forgotten included. Only for copying."""
    root = tmp_path_factory.mktemp("sound") / "m"
    with open_memory(root) as memory:
        memory.write(make_stream(1, gap=True))
        memory.write(make_stream(2, stream_id="radio"))
        memory.write([said("late words", 3, 4, seq=10**15), said("unwanted", 5, 6, seq=10**15 + 1)])
        memory.forget(text="unwanted")
        memory.forget(span=span(30, 40), stream_ids=["radio"])
        memory.write([seen("cat", 130, picture=5), EndOfStream(stream_id="tv", pts_ns=ns(140))])
        memory.write([seen("cat", 900_000, picture=6)])  # the time of the stream leaps
        memory.write([said("The code of the garage is 4711.", 900_000.2, 900_000.8)])
        memory.teach("Minka", stream_id="tv", span=span(900_000, 900_001), aliases=["tiger"])
        memory.allow_templates("voice", by="the author", reason="a test")
        for text in ("the cat was there", "the cat was there again"):
            memory.note(text, stream_id="tv", about=span(900_000, 900_001))
        memory.consolidate()
        demoted = Demoted()
        with memory._store.transaction() as db:  # events of every level
            for number, (event,) in enumerate(db.execute("SELECT id FROM event WHERE NOT open LIMIT 3").fetchall()):
                for _ in range(number + 1):
                    demote(db, event, demoted, frame_strength=-1.0)
        memory._store.pictures.remove(demoted.pictures)
        memory.pin(span(100, 110))
    return root


@pytest.fixture
def root(sound, tmp_path):
    shutil.copytree(sound, tmp_path / "m")
    return tmp_path / "m"


def change(root, *statements):
    connection = sqlite3.connect(root / "memory.sqlite")
    with connection:
        for statement in statements:
            assert connection.execute(statement).rowcount != 0, statement
    connection.close()


def files(root):
    """What is stored: a reader may leave an empty log and its index beside the database."""
    kept = (path for path in root.rglob("*") if path.is_file() and not path.name.endswith(("-wal", "-shm")))
    return {path: path.read_bytes() for path in kept}


def test_a_sound_memory_is_sound_and_is_counted(root):
    before = files(root)
    report = verify(root)
    assert report.sound
    assert (report.findings, dict(report.found)) == ((), {})
    rows = rows_of(root)
    assert {table: count for table, count in report.counts.items() if table != "memory"} == {
        table: len(rows[table]) for table in rows
    }
    assert all(rows.values())  # there is something of each kind to look at
    assert files(root) == before
    assert verify_and_repair(root) == report


@pytest.mark.parametrize("seed", range(4))
def test_what_is_written_is_sound_at_every_step(tmp_path, seed):
    with open_memory(tmp_path) as memory:
        items = make_stream(seed, gap=seed % 2 == 0, duration_s=60)
        for start in range(0, len(items), 40):
            memory.write(items[start : start + 40])
            assert verify(tmp_path).findings == ()
        memory.forget(span=span(10, 20))
        assert memory.verify().findings == ()


FIRST = "(SELECT min(observation) FROM vector)"
CUT = "(SELECT min(id) FROM event WHERE cause != 'start')"
OVERLAP = "UPDATE event SET end_ns = end_ns + 7 WHERE end_ns IN (SELECT start_ns FROM event WHERE cause != 'start')"
DAMAGE = {
    "a lost observation": ("references", "vector", f"DELETE FROM observation WHERE id = {FIRST}"),
    "a short vector": (
        "vectors", "63 numbers instead of 64", f"UPDATE vector SET code = substr(code, 2) WHERE observation = {FIRST}",
    ),
    "an empty vector": (
        "vectors", "length 0.000", f"UPDATE vector SET code = zeroblob(64) WHERE observation = {FIRST}",
    ),
    "an endless scale": ("vectors", "scale inf", f"UPDATE vector SET scale = 9e999 WHERE observation = {FIRST}"),
    "a long vector": ("vectors", "of label 1", "UPDATE label_vector SET scale = scale * 2 WHERE label = 1"),
    "a lost end": ("events", "nothing was lost", f"UPDATE event SET start_ns = start_ns + 1 WHERE id = {CUT}"),
    "overlapping events": ("events", "by 7 ns", OVERLAP),
    "an event inside out": ("events", "starts at", "UPDATE event SET end_ns = start_ns - 1 WHERE id = 2"),
    "two open events": ("events", "another comes after", "UPDATE event SET open = 1"),
    "a visit inside out": ("tracks", "starts at", "UPDATE track SET end_ns = start_ns - 1 WHERE track = 1"),
    "a nameless visit": ("tracks", "unicorn", "UPDATE track SET name = 'unicorn' WHERE track = 1"),
    "unreadable votes": ("tracks", "cannot be read", "UPDATE track SET votes = '{' WHERE track = 1"),
    "torn labels": ("packing", "multiple of 6", "UPDATE observation SET labels = x'01020304' WHERE modality = 0"),
    "unknown labels": ("packing", "not there", "UPDATE observation SET labels = x'ffffff00003c' WHERE modality = 0"),
    "torn boxes": ("packing", "multiple of 30", "UPDATE observation SET boxes = x'00' WHERE modality = 1"),
    "lost boxes": ("packing", "has no boxes", "UPDATE observation SET boxes = NULL WHERE modality = 1"),
    "torn words": ("packing", "words that cannot", "UPDATE observation SET words = '[[1' WHERE modality = 3"),
    "an unknown sense": ("packing", "unknown sense 9", "UPDATE observation SET modality = 9 WHERE modality = 4"),
    "torn labels of an event": ("packing", "event 2", "UPDATE event SET labels = x'01' WHERE id = 2"),
    "an unknown level": ("levels", "unknown level 10", "UPDATE event SET level = 10 WHERE id = 2"),
    "a forgotten fading": ("levels", "not noted as faded", "DELETE FROM faded"),
    "a coarse event that is whole": (
        "levels", "and still has", "UPDATE event SET level = 1 WHERE level = 0 AND NOT open",
    ),
    "fading inside out": ("stretches", "ends at", "UPDATE faded SET end_ns = start_ns"),
    "a pin inside out": ("stretches", "pin at", "UPDATE pin SET end_ns = start_ns"),
    "a revision inside out": ("stretches", "revision", "UPDATE revision SET end_ns = start_ns - 1"),
    "an episode of nothing": ("episodes", "its events from None", "UPDATE event SET episode = NULL"),
    "a longer episode": ("episodes", "goes from", "UPDATE episode SET end_ns = end_ns + 7"),
    "a short centre": ("centres", "63 numbers instead of 64", "UPDATE centre SET value = substr(value, 5)"),
    "a torn code": ("vectors", "instead of 32", "UPDATE vector SET code = substr(code, 2) WHERE centre NOT NULL"),
    "a code without a scale": ("vectors", "the scale 0", "UPDATE vector SET scale = 0 WHERE centre IS NOT NULL"),
}  # fmt: skip


@pytest.mark.parametrize("kind", DAMAGE)
def test_damaged_rows_are_named_and_left_alone(root, kind):
    check, said_of_it, statement = DAMAGE[kind]
    change(root, statement)
    report = verify(root)
    assert not report.sound
    own = [finding for finding in report.findings if finding.check == check]
    assert any(said_of_it in f"{finding.subject} {finding.problem}" for finding in own), report.findings
    assert all("restore" in finding.advice for finding in own)
    before = rows_of(root)
    again = verify_and_repair(root)
    assert not again.sound
    kept = ("event", "track", "vector", "label", "gap")  # `observation` may lose names of pictures only
    assert {table: rows_of(root)[table] for table in kept} == {table: before[table] for table in kept}


TAKE_OUT = "INSERT INTO {0} ({0}, rowid, {1}) SELECT 'delete', id, {1} FROM "
WRONG_TEXTS = {
    "a lost text": TAKE_OUT.format("observation_text", "text") + "observation WHERE modality = 3 LIMIT 1",
    "a text of nobody": "INSERT INTO observation_text (rowid, text) VALUES (999999, 'ghost')",
    "another text": "UPDATE observation SET text = 'zebra' WHERE modality = 3",
    "a lost name": TAKE_OUT.format("label_text", "name") + "label WHERE id = 2",
    "an empty index": "INSERT INTO observation_text (observation_text) VALUES ('delete-all')",
    "wrong sizes": "DELETE FROM observation_text_docsize WHERE id = (SELECT max(id) FROM observation_text_docsize)",
    "wrong totals": "UPDATE observation_text_data SET block = x'0101' WHERE id = 1",
}


@pytest.mark.parametrize("kind", WRONG_TEXTS)
def test_text_indexes_are_compared_with_the_rows_and_made_anew(root, kind):
    change(root, WRONG_TEXTS[kind])
    (finding,) = verify(root).findings
    assert finding.check == "texts"
    assert finding.subject == ("index label_text" if kind == "a lost name" else "index observation_text")
    assert "--repair" in finding.advice
    before = rows_of(root)
    report = verify_and_repair(root)
    assert report.sound
    assert [finding.repaired for finding in report.findings] == [True]
    assert verify(root).findings == ()
    assert rows_of(root) == before
    assert_whole(root)


def test_pictures_that_are_missing_corrupt_or_unnamed(root):
    gone, torn, *_ = sorted((root / "pictures").glob("*/*.jpg"))
    gone.unlink()
    torn.write_bytes(torn.read_bytes()[:-1] + b"\0")
    stray, half = root / "pictures" / "ab" / ("ab" + "0" * 30 + ".jpg"), root / "pictures" / "ab" / "half.part"
    stray.parent.mkdir(exist_ok=True)
    stray.write_bytes(jpeg(77))
    half.write_bytes(b"x")
    report = verify(root)
    assert {(finding.check, finding.subject) for finding in report.findings} == {
        ("missing pictures", gone.relative_to(root).as_posix()),
        ("corrupt pictures", torn.relative_to(root).as_posix()),
        ("unnamed pictures", stray.relative_to(root).as_posix()),
        ("unnamed pictures", half.relative_to(root).as_posix()),
    }
    assert stray.exists()
    mended = verify_and_repair(root)
    assert {finding.check for finding in mended.findings if not finding.repaired} == {"corrupt pictures"}
    assert torn.exists()  # what is left of it may still be seen
    assert not stray.exists()
    assert not half.exists()
    names = {row["picture"] for table in ("observation", "track", "event") for row in rows_of(root)[table]}
    assert gone.stem not in names
    assert torn.stem in names
    assert [finding.check for finding in verify(root).findings] == ["corrupt pictures"]


def test_a_file_of_a_write_under_way_is_not_judged(root):
    with open_memory(root) as memory:
        memory._store.pictures.write([("ab" + "0" * 30, jpeg(2))])
        assert verify(root).sound  # another process: somebody writes
        assert [finding.check for finding in memory.verify().findings] == [
            "unnamed pictures"
        ]  # the writer knows better
        assert memory.verify(repair=True).sound
        assert memory.write([said("hello again", 900_001, 900_002)]).committed == 1
    assert verify(root).findings == ()


def corrupt_page(root, *names):
    """Overwrite the middle leaf of some tables or indexes."""
    path = root / "memory.sqlite"
    damaged = bytearray(path.read_bytes())
    connection = sqlite3.connect(path)
    for name in names:
        query = "SELECT pageno FROM dbstat WHERE name = ? AND pagetype = 'leaf'"
        pages = connection.execute(query, (name,)).fetchall()
        start = 4096 * (pages[len(pages) // 2][0] - 1)
        damaged[start : start + 4096] = b"\xa5" * 4096
    connection.close()
    path.write_bytes(damaged)


def test_a_corrupt_page_names_its_table_and_is_left_alone(root):
    rows = len(rows_of(root)["observation"])
    corrupt_page(root, "observation")
    before = files(root)
    report = verify(root)
    assert report.damaged
    assert not report.sound
    (finding,) = [finding for finding in report.findings if finding.subject == "table observation"]
    readable = int(finding.problem.split("; ")[1].split()[0])
    assert rows / 2 < readable < rows
    assert "restore" in finding.advice
    assert verify_and_repair(root) == report
    assert files(root) == before


def picture_names(root, where):
    with sqlite3.connect(root / "memory.sqlite") as connection:
        query = f"SELECT picture FROM observation WHERE picture IS NOT NULL AND {where} ORDER BY id"
        rows = connection.execute(query).fetchall()
    connection.close()
    return [name for (name,) in rows]


@pytest.mark.parametrize("broken", [("observation",), ("observation", "observation_picture_name"), ("vector",)])
def test_key_frames_are_looked_at_though_a_page_is_corrupt(root, broken):
    """Without a page of the table the index still tells all names; without either, the rows before and after it do."""
    first, *_, last = picture_names(root, "true")
    torn, *_ = picture_names(root, f"picture NOT IN ('{first}', '{last}')")
    for gone in (first, last):
        (root / "pictures" / gone[:2] / f"{gone}.jpg").unlink()
    file = root / "pictures" / torn[:2] / f"{torn}.jpg"
    file.write_bytes(file.read_bytes()[:-1])
    corrupt_page(root, *broken)
    before = files(root)
    report = verify(root)
    assert report.damaged
    assert set(report.found) == {"pages", "missing pictures", "corrupt pictures"}
    found = {(finding.check, finding.subject.split("/")[-1]) for finding in report.findings}
    assert found >= {("pages", f"table {broken[0]}"), ("corrupt pictures", f"{torn}.jpg")}
    assert {name for check, name in found if check == "missing pictures"} == {f"{first}.jpg", f"{last}.jpg"}
    assert all("restore" in finding.advice for finding in report.findings)
    assert verify_and_repair(root) == report
    assert files(root) == before


@pytest.mark.parametrize("damage", ["text", "half", "first page"])
def test_a_file_that_is_no_database_any_more_is_damage(root, damage):
    path = root / "memory.sqlite"
    whole = path.read_bytes()
    first_page = whole[:16] + b"\xa5" * 4080 + whole[4096:]
    path.write_bytes({"text": b"a letter\n" * 999, "half": whole[: len(whole) // 2], "first page": first_page}[damage])
    before = path.read_bytes()
    report = verify_and_repair(root)
    assert report.damaged
    assert report.findings
    assert path.read_bytes() == before


def test_what_cannot_be_verified_says_so(root, tmp_path):
    with pytest.raises(MemoryStoreError, match="no memory at"):
        verify(tmp_path / "nothing")
    change(root, f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    with pytest.raises(MemoryTooNew, match="upgrade reverie"):
        verify(root)


def test_all_findings_are_counted_and_the_first_are_listed(root):
    change(root, "UPDATE observation SET end_ns = start_ns - 1")
    report = verify(root)
    assert report.found["packing"] == len(rows_of(root)["observation"]) > MAX_LISTED
    assert len([finding for finding in report.findings if finding.check == "packing"]) == MAX_LISTED


def test_the_command_line_prints_findings_and_exits_with_1(cli, root):
    outcome = cli("memory", "verify", "--memory", root)
    assert (outcome.code, outcome.out[:7]) == (0, "sound: ")
    change(root, "INSERT INTO observation_text (observation_text) VALUES ('delete-all')")
    change(root, OVERLAP)
    outcome = cli("memory", "verify", "--memory", root, "--json")
    document = json.loads(outcome.out)
    assert (outcome.code, document["sound"]) == (1, False)
    assert set(document["found"]) >= {"texts", "events"}
    assert set(document["findings"][0]) == {"check", "subject", "problem", "advice", "repaired"}
    outcome = cli("memory", "verify", "--memory", root, "--repair")
    assert outcome.code == 1
    assert "(repaired)" in outcome.out.splitlines()[0]
    outcome = cli("memory", "verify", "--memory", root)
    assert outcome.code == 1
    assert outcome.out.startswith("events: event ")
    assert " by 7 ns (restore a backup" in outcome.out
