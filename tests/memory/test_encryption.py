"""An encrypted memory is the same memory with its key, and noise without it."""

from __future__ import annotations

import sqlite3

import pytest

from reverie.errors import MemoryDamaged, MemoryKeyError, UsageError
from reverie.memory import Memory
from reverie.memory.backup import copy_memory
from reverie.memory.encryption import key_from_environment
from reverie.memory.verify import verify, verify_and_repair
from reverie.types import Query
from tests.memory import tracing
from tests.memory.reading import bytes_in
from tests.memory.worlds import BagOfWords, jpeg, make_stream, said, seen, span

pytest.importorskip("sqlcipher3", reason="needs the extra: pip install 'reverie[encryption]'")
pytest.importorskip("cryptography", reason="needs the extra: pip install 'reverie[encryption]'")

KEY = "correct horse battery staple"
SECRET = "xylophonewidow"
TRACES = (SECRET.encode(), b"tabby", b"lantern", b"SQLite format", b"CREATE TABLE", jpeg(900)[-300:-100])


def open_memory(path, mode="r", key=KEY):
    return Memory.open(path, text_encoder=BagOfWords(), mode=mode, key=key)


def fill(memory):
    memory.write(make_stream(3, duration_s=60))
    memory.write([said(f"my {SECRET} is here", 70, 72), seen("tabby cat", 71, picture=900)])


def finds(memory):
    return f"my {SECRET} is here" in [hit.text for hit in memory.search(Query(text=SECRET)) if hit.lexical == 1]


@pytest.fixture
def root(tmp_path):
    with open_memory(tmp_path / "m", "w") as memory:
        fill(memory)
    return tmp_path / "m"


def test_no_plain_byte_is_in_any_file_while_it_is_open_and_after(tmp_path):
    with open_memory(tmp_path / "plain", "w", key=None) as plain:
        fill(plain)
        for trace in TRACES:
            assert bytes_in(tmp_path / "plain", trace), trace  # it can be found where nothing is encrypted
    with open_memory(tmp_path / "m", "w") as memory, open_memory(tmp_path / "plain", key=None) as plain:
        fill(memory)
        memory.export("json")
        for trace in (*TRACES, b'"kind"'):
            assert bytes_in(tmp_path / "m", trace) == [], trace
        query = Query(text=SECRET)
        found, expected = memory.search(query), plain.search(query)
        assert [(hit.text, hit.span, hit.score) for hit in found] == [(h.text, h.span, h.score) for h in expected]
        assert memory.picture(found[-1].thumbnail) == plain.picture(expected[-1].thumbnail)
        assert found[-1].thumbnail != expected[-1].thumbnail  # names do not tell what a file holds
    names = {path.name for path in (tmp_path / "m" / "pictures").glob("*/*")}
    assert names.isdisjoint({path.name for path in (tmp_path / "plain" / "pictures").glob("*/*")})
    for trace in TRACES:
        assert bytes_in(tmp_path / "m", trace) == [], trace
    assert verify(tmp_path / "m", key=KEY.encode()).findings == ()


@pytest.mark.parametrize("mode", ["r", "w"])
@pytest.mark.parametrize(("key", "message"), [("wrong", "does not fit"), (None, "is encrypted: set"), ("", "is empty")])
def test_without_its_key_it_stays_closed_and_untouched(root, mode, key, message):
    before = {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}
    with pytest.raises(MemoryKeyError, match=message):
        open_memory(root, mode, key)
    for call in (verify, verify_and_repair):
        with pytest.raises(MemoryKeyError, match=message):
            call(root, key=None if key is None else key.encode())
    with pytest.raises(MemoryKeyError, match=message):
        copy_memory(root, root.parent / "copy", key=None if key is None else key.encode())
    assert {path: path.read_bytes() for path in root.rglob("*") if path.is_file()} == before
    assert not (root.parent / "copy").exists()


def test_a_plain_memory_takes_no_key(tmp_path):
    open_memory(tmp_path / "plain", "w", key=None).close()
    for mode in ("r", "w"):
        with pytest.raises(MemoryKeyError, match="is not encrypted"):
            open_memory(tmp_path / "plain", mode)


def test_the_note_beside_it_is_not_needed_to_open_it(root):
    (root / "memory.encrypted").unlink()
    with pytest.raises(MemoryDamaged):
        open_memory(root, key="wrong")
    with open_memory(root, "w") as memory:
        assert finds(memory)
    with pytest.raises(MemoryKeyError, match="does not fit"):
        open_memory(root, key="wrong")


def test_forget_backup_restore_and_reopening_work_as_without(root, tmp_path):
    with open_memory(root, "w") as memory, open_memory(root) as reader:
        assert memory.write(make_stream(3, duration_s=60)).committed == 0
        receipt = memory.backup(tmp_path / "copy")
        assert receipt.linked == receipt.pictures > 0
        forgotten = memory.forget(text=SECRET)
        assert (forgotten.observations, forgotten.complete) == (1, True)
        assert [(copy.kind, copy.there) for copy in forgotten.copies] == [("backup", True)]
        assert all(hit.lexical == 0 for hit in reader.search(Query(text=SECRET)))
        memory.forget(span=span(0, 30))
        assert memory.verify().sound
    copy_memory(tmp_path / "copy", tmp_path / "again", key=KEY.encode())
    with open_memory(tmp_path / "again") as again:
        assert finds(again)
    assert verify(tmp_path / "again", key=KEY.encode()).findings == ()


def test_damage_is_named(root):
    picture = sorted((root / "pictures").glob("*/*"))[0]
    whole = picture.read_bytes()
    picture.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    (finding,) = verify(root, key=KEY.encode()).findings
    assert (finding.check, picture.stem in finding.subject) == ("corrupt pictures", True)
    with open_memory(root) as memory, pytest.raises(MemoryDamaged, match="not what was encrypted"):
        memory.picture(picture.relative_to(root).as_posix())
    path = root / "memory.sqlite"
    content = bytearray(path.read_bytes())
    content[5 * 4096 + 7] ^= 1  # one bit of one page: its authentication fails
    path.write_bytes(content)
    assert verify(root, key=KEY.encode()).damaged


def test_an_encrypted_copy_of_a_plain_memory(tmp_path):
    with open_memory(tmp_path / "plain", "w", key=None) as plain:
        fill(plain)
        query = Query(text=SECRET)
        expected = [(hit.text, hit.span, hit.score) for hit in plain.search(query)]
        stats = plain.stats()
    receipt = copy_memory(tmp_path / "plain", tmp_path / "m", new_key=KEY.encode())
    assert (receipt.observations, receipt.pictures, receipt.linked) == (
        sum(stats.observations.values()),
        stats.pictures,
        0,
    )
    for trace in TRACES:
        assert bytes_in(tmp_path / "m", trace) == [], trace
    assert verify(tmp_path / "m", key=KEY.encode()).findings == ()
    with open_memory(tmp_path / "m", "w") as memory:
        assert [(hit.text, hit.span, hit.score) for hit in memory.search(query)] == expected
        assert memory.write(make_stream(3, duration_s=60)).committed == 0
        forgotten = memory.forget(everything=True)
        assert [(copy.kind, copy.path) for copy in forgotten.copies] == [("original", str(tmp_path / "plain"))]
    with open_memory(tmp_path / "plain", "w", key=None) as plain:
        assert [copy.kind for copy in plain.forget(everything=True).copies] == ["encrypted copy"]


def test_the_key_comes_from_the_environment_or_from_a_file(tmp_path, monkeypatch):
    monkeypatch.delenv("REVERIE_MEMORY_KEY", raising=False)
    monkeypatch.delenv("REVERIE_MEMORY_KEY_FILE", raising=False)
    assert key_from_environment() is None
    (tmp_path / "key").write_text("from a file\n")
    monkeypatch.setenv("REVERIE_MEMORY_KEY_FILE", str(tmp_path / "key"))
    assert key_from_environment() == b"from a file"
    monkeypatch.setenv("REVERIE_MEMORY_KEY", KEY)
    assert key_from_environment() == KEY.encode()
    monkeypatch.delenv("REVERIE_MEMORY_KEY")
    (tmp_path / "key").write_text("\n")
    with pytest.raises(UsageError, match="is empty"):
        key_from_environment()
    monkeypatch.setenv("REVERIE_MEMORY_KEY_FILE", str(tmp_path / "nothing"))
    with pytest.raises(UsageError, match="cannot be read"):
        key_from_environment()


@pytest.mark.skipif(tracing.why_not() is not None, reason=str(tracing.why_not()))
@pytest.mark.parametrize("at_call", [12, 60, 200])
def test_a_killed_writer_leaves_a_memory_that_opens(tmp_path, at_call):
    """kill -9 while it is made, while rows and pictures are written, and later."""
    items = make_stream(5, duration_s=40)
    counted = 0

    def work():
        with open_memory(tmp_path / "m", "w") as memory:
            for start in range(0, len(items), 10):
                memory.write(items[start : start + 10])

    def on_call(call):
        nonlocal counted
        counted += call.name in ("write", "pwrite64", "fsync", "fdatasync", "rename")
        return counted == at_call

    assert tracing.run(work, on_call) == -9
    with open_memory(tmp_path / "m", "w") as memory:
        memory.write(items)
        assert memory.verify().findings == ()
    assert bytes_in(tmp_path / "m", b"lantern") == []


def test_another_program_cannot_read_it(root):
    with pytest.raises(sqlite3.DatabaseError, match="not a database"):
        sqlite3.connect(root / "memory.sqlite").execute("SELECT * FROM observation")
