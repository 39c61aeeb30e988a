"""A picture, or a time, teaches a name; a question with that name finds what looks like it."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from demos.sample.catalogue import PHOTOS, locate
from reverie.errors import MemoryStoreError, SourceError, UsageError
from reverie.perception.conse import Conse
from reverie.pipeline.build import open_memory
from reverie.pipeline.config import load_profile
from reverie.pipeline.teaching import teach
from reverie.types import EndOfStream, Modality, Observation, Query, TimeSpan, ns

STREAM = "desk"


@pytest.fixture(scope="module")
def pictures():
    wanted = {"chelsea.png", "coffee.png", "rocket.jpg"}
    return sorted(locate(asset) for asset in PHOTOS if asset.path.rsplit("/", 1)[-1] in wanted)


@pytest.fixture
def directory(tmp_path, pictures):
    encoder = Conse()
    encoder.load()
    encoded = encoder.encode([np.asarray(Image.open(path).convert("RGB")) for path in pictures])
    with open_memory(tmp_path / "m", load_profile("embedded"), "w") as memory:
        memory.write(
            [
                Observation(
                    stream_id=STREAM, seq=number, span=TimeSpan(start_ns=ns(10 * number), end_ns=ns(10 * number + 1)),
                    modality=Modality.VISION, embedding=vector, encoder=encoder.encoder_id, labels=labels,
                    starts_shot=True,
                )
                for number, (vector, labels) in enumerate(zip(encoded.embedding, encoded.labels, strict=True))
            ]
        )  # fmt: skip
        memory.write([EndOfStream(stream_id=STREAM, pts_ns=ns(30))])
    return tmp_path / "m"


def found(directory, question):
    with open_memory(directory, load_profile("embedded"), "r") as memory:
        hits = memory.search(Query(text=question, k=3))
    return [hit.span.start_s for hit in hits if hit.labels and hit.labels[0].name == "Bertolt"]


def test_a_cropped_picture_teaches_what_it_shows(directory, pictures, tmp_path):
    original = Image.open(pictures[0]).convert("RGB")
    cropped = original.crop((20, 20, original.width - 20, original.height - 20))
    cropped.save(tmp_path / "shown.png")
    taught = teach(directory, "Bertolt", images=[tmp_path / "shown.png"])
    assert (taught.name, taught.num_looks) == ("Bertolt", 1)
    assert 0 in found(directory, "When was Bertolt there?")


def test_a_time_teaches_what_was_seen_then(directory):
    teach(directory, "Bertolt", at_s=24, stream_id=STREAM)
    assert 20 in found(directory, "When was Bertolt there?")


def test_what_is_missing_is_named(directory, tmp_path):
    with pytest.raises(UsageError, match="show it once"):
        teach(directory, "Bertolt")
    with pytest.raises(UsageError, match="--stream"):
        teach(directory, "Bertolt", at_s=3)
    with pytest.raises(SourceError):
        teach(directory, "Bertolt", images=[tmp_path / "none.png"])
    with pytest.raises(MemoryStoreError, match="no memory"):
        teach(tmp_path / "nowhere", "Bertolt", at_s=3, stream_id=STREAM)
