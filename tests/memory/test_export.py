import io
import json

import numpy as np
import pysubs2
import pytest

from reverie.errors import UsageError
from reverie.memory import Memory
from reverie.types import Modality, ns
from tests.memory.worlds import BagOfWords, make_stream, said


@pytest.fixture
def memory(tmp_path):
    with Memory.open(tmp_path, text_encoder=BagOfWords(), mode="w") as memory:
        memory.write(make_stream(3, duration_s=60))
        yield memory


@pytest.mark.parametrize("format", ["srt", "vtt"])
def test_subtitles_hold_what_was_said_and_when(memory, format):
    memory.write([said("{\\an8}braces & <i>tags</i>", 70, 72)])
    cues = pysubs2.SSAFile.from_string(memory.export(format).decode(), format_=format)
    spoken = memory.rows(modalities=(Modality.SPEECH,))
    assert len(cues) == len(spoken) > 3
    for cue, row in zip(cues, spoken, strict=True):
        assert (cue.start, cue.end) == (row.span.start_ns // 1_000_000, row.span.end_ns // 1_000_000)
    assert cues[0].plaintext == spoken[0].text


def test_subtitles_belong_to_one_stream(memory):
    memory.write([said("hello", 1, 2, "radio")])
    with pytest.raises(UsageError, match="one stream: choose one of radio, tv"):
        memory.export("srt")
    assert b"hello" in memory.export("srt", stream_ids=("radio",))


def test_json_holds_everything_but_vectors(memory):
    document = json.loads(memory.export("json"))
    assert set(document) == {
        "streams",
        "events",
        "tracks",
        "gaps",
        "observations",
        "episodes",
        "entities",
        "facts",
        "notes",
    }
    assert len(document["observations"]) == len(memory.rows())
    assert len(document["events"]) == len(memory.timeline())
    assert document["events"][0]["start_s"] == 0
    assert all("embedding" not in row for row in document["observations"])
    with pytest.raises(UsageError, match="no stream is called 'nobody'; the memory has 'tv'"):
        memory.export("json", stream_ids=("nobody",))


def test_json_holds_what_is_derived(memory):
    memory.write([said("I live in Paris.", 70, 72), said("I live in Rome.", 1, 2, "radio")])
    memory.teach("Ada", looks=[np.eye(4, dtype=np.float32)[0]], encoder="looks")
    memory.note("the garden pilot", stream_id="tv", about=memory.timeline()[0].span)
    document = json.loads(memory.export("json"))
    assert [entity["name"] for entity in document["entities"]] == ["Ada"]
    assert [note["text"] for note in document["notes"]] == ["the garden pilot"]
    assert len(document["facts"]) == len(memory.facts(history=True)) > 0
    radio = json.loads(memory.export("json", stream_ids=("radio",)))
    assert {cited["stream_id"] for fact in radio["facts"] for cited in fact["evidence"]} == {"radio"}
    assert radio["entities"] == radio["notes"] == []


def test_parquet_holds_a_row_for_each_observation(memory):
    parquet = pytest.importorskip("pyarrow.parquet")
    table = parquet.read_table(io.BytesIO(memory.export("parquet")))
    rows = memory.rows()
    assert table.num_rows == len(rows)
    assert table["start_ns"].to_pylist() == [row.span.start_ns for row in rows]
    vectors = [vector for vector in table["embedding"].to_pylist() if vector is not None]
    assert len(vectors[0]) == 64
    assert max(table["end_ns"].to_pylist()) >= ns(50)


def test_unknown_formats_are_named(memory):
    with pytest.raises(UsageError, match="'docx' is not a format"):
        memory.export("docx")
