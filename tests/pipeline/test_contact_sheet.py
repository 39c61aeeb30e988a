"""The picture of an answer shows its key frames, so the memory has to know where it lies."""

from __future__ import annotations

from PIL import Image

from reverie.memory import Memory
from reverie.pipeline.contact_sheet import contact_sheet
from reverie.types import Answer, Citation, Modality
from tests.memory.worlds import BagOfWords, seen, span


def test_a_contact_sheet_is_noted_as_a_copy(tmp_path):
    with Memory.open(tmp_path / "m", text_encoder=BagOfWords(), mode="w") as memory:
        memory.write([seen("cat", 1, picture=3)])
        (hit,) = memory.observations((Modality.VISION,))
        cited = Citation(
            stream_id="tv", span=span(1, 2), modality=Modality.VISION, text="cat", score=1.0, thumbnail=hit.thumbnail
        )
        answer = Answer(text="At 0:01.", citations=(cited,), confidence=0.9, abstained=False)
        path = contact_sheet("When was the cat?", answer, tmp_path / "sheet.png", memory)
        with Image.open(path) as sheet:
            assert sheet.format == "PNG"
        (copy,) = memory.forget(everything=True, dry_run=True).copies
        assert (copy.kind, copy.path, copy.there) == ("contact sheet", str(path), True)
