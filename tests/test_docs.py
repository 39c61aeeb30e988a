"""What docs/memory.md shows from Python is run, as it stands there."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import reverie
from demos.sample.catalogue import PHOTOS, locate
from reverie.perception.conse import Conse
from reverie.types import EndOfStream, Modality, Observation, TimeSpan, ns
from tests.memory.worlds import said

MEMORY_PAGE = Path(__file__).parents[1] / "docs" / "memory.md"
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
CALL = re.compile(r"^    (memory\..+)$", re.MULTILINE)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Where `my.memory` holds 90 s of a photo, with a sentence, and the photo is `cat.jpg`."""
    (photo,) = (locate(asset) for asset in PHOTOS if asset.path.endswith("chelsea.png"))
    pixels = np.asarray(Image.open(photo).convert("RGB"))
    Image.fromarray(pixels).save(tmp_path / "cat.jpg")
    encoder = Conse()
    encoder.load()
    (vector,) = encoder.encode([pixels]).embedding
    with reverie.open_memory(tmp_path / "my.memory", mode="w") as memory:
        memory.write([
            *(
                Observation(
                    stream_id="tv", seq=at_s, span=TimeSpan(start_ns=ns(at_s), end_ns=ns(at_s + 1)),
                    modality=Modality.VISION, embedding=vector, encoder=encoder.encoder_id,
                )
                for at_s in range(90)
            ),
            said("the train to Boston leaves at nine", 72, 75),
            EndOfStream(stream_id="tv", pts_ns=ns(90)),
        ])  # fmt: skip
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_python_of_the_page_of_memory_runs(folder):
    page, names = MEMORY_PAGE.read_text(), dict[str, object]()
    blocks, calls = BLOCK.findall(page), CALL.findall(page)
    assert blocks
    assert len(calls) > 5
    for code in [*blocks, *calls]:
        exec(compile(code, "docs/memory.md", "exec"), names)
    memory = names["memory"]
    assert isinstance(memory, reverie.Memory)
    assert names["hits"] == []  # the sentence comes after the minute that is asked for
    memory.note("written to", stream_id="tv", about=TimeSpan(start_ns=0, end_ns=ns(1)))
    memory.close()
