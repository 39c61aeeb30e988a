import importlib.util
import io
import json
import pickle
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import reverie.perception.data
from reverie.errors import ModelError
from reverie.perception.colours import colour_shares, dominant_colours
from reverie.perception.conse import Conse, class_meanings, load_classes
from reverie.perception.minilm import MiniLM
from reverie.perception.models import resolve
from reverie.perception.openclip import OpenClipConfig, OpenClipFrames, OpenClipText
from reverie.perception.shots import ShotDetector
from reverie.perception.vision import VisionStage
from reverie.types import Modality, ns
from tests.perception.installed import clip, frames, pan, photo

PHOTOS = ("astronaut.png", "chelsea.png", "coffee.png", "rocket.jpg", "motorcycle_left.png", "china.jpg", "flower.jpg")


# --- colours ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rgb", "name"),
    [
        ((0, 0, 0), "black"),
        ((255, 255, 255), "white"),
        ((128, 128, 128), "grey"),
        ((220, 20, 30), "red"),
        ((30, 140, 40), "green"),
        ((250, 225, 40), "yellow"),
        ((30, 60, 190), "blue"),
        ((120, 75, 45), "brown"),
        ((255, 140, 10), "orange"),
        ((255, 170, 190), "pink"),
        ((120, 40, 140), "purple"),
        ((0, 0, 110), "blue"),
        ((135, 206, 235), "blue"),
        ((210, 180, 140), "brown"),
    ],
)
def test_a_plain_picture_has_one_colour(rgb, name):
    (label,) = dominant_colours(np.full((40, 60, 3), rgb, np.uint8))
    assert (label.name, label.kind, label.score) == (name, "colour", 1.0)


@given(st.integers(0, 255), st.integers(0, 255), st.integers(0, 255), st.integers(2, 200), st.integers(2, 200))
@settings(max_examples=40, deadline=None)
def test_shares_add_up(red, green, blue, height, width):
    image = np.full((height, width, 3), (red, green, blue), np.uint8)
    image[: height // 2] //= 2
    assert sum(colour_shares(image).values()) == pytest.approx(1)


def test_colours_of_photographs():
    assert dominant_colours(photo("chelsea.png"))[0].name == "brown"  # a ginger cat
    assert dominant_colours(photo("rocket.jpg"))[0].name == "blue"  # a dawn sky
    assert dominant_colours(photo("retina.jpg"))[0].name == "red"
    assert {label.name for label in dominant_colours(photo("coffee.png"))} == {"brown", "red"}


# --- shots --------------------------------------------------------------------------------------


def cuts(pictures):
    detector = ShotDetector()
    return [index for index, picture in enumerate(pictures) if detector.is_cut(picture)]


def test_the_four_cuts_of_a_street_film_and_no_other():
    # Seen by eye at 1.5, 3.5, 5.5 and 7.5 s; a bus, taxis, cyclists and walkers pass close to the camera in between.
    assert cuts(clip("bikes.mp4")) == [3, 7, 11, 15]


@pytest.mark.parametrize("name", ["bigbuckbunny.mp4", "carphone_pristine.mp4"])
def test_a_single_shot_has_no_cut(name):
    assert cuts(clip(name)) == []


@pytest.mark.parametrize("step", [0.05, 0.2, 0.35])
@pytest.mark.parametrize("name", [*PHOTOS, "brick.png", "grass.png"])
def test_a_pan_is_no_cut(name, step):
    assert cuts(pan(name, 8, step)) == []


def test_cuts_between_moving_photographs_are_found():
    names = ("astronaut.png", "chelsea.png", "rocket.jpg", "china.jpg", "brick.png", "grass.png")
    moving = {name: pan(name, 3, 0.05) for name in names}
    found = {pair: cuts(moving[pair[0]] + moving[pair[1]]) for pair in permutations(names, 2)}
    missed = [pair for pair, cut in found.items() if cut != [3]]
    assert len(missed) <= 1  # the dark middle of one portrait is found in a roof
    assert all(set(cut) <= {3} for cut in found.values())


def test_light_that_goes_down_is_no_cut():
    image = photo("astronaut.png")
    assert cuts([(image * share).astype(np.uint8) for share in (1, 0.9, 0.75, 0.6, 0.45, 0.6, 0.9)]) == []


def test_a_title_on_a_plain_ground_is_no_cut():
    plain = np.full((180, 320, 3), (40, 60, 80), np.uint8)
    titled = plain.copy()
    titled[80:100, 100:220:4] = 255
    assert cuts([plain, titled, titled, plain]) == []


# --- ConSE --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def conse():
    encoder = Conse()
    encoder.load()
    return encoder


def test_class_names_are_readable_and_unique():
    names, kinds, vectors = load_classes()
    assert len(names) == len(set(names)) == len(vectors) == 1000
    assert {"tabby cat", "espresso", "computer mouse", "crane bird", "construction crane"} <= set(names)
    assert set(kinds).isdisjoint(names)
    assert names[kinds["cat"][0]] == "tabby cat"
    assert class_meanings()["tabby cat"].startswith("tabby, tabby cat: ")
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)


@pytest.mark.slow
def test_the_class_vectors_are_what_their_script_makes():
    script = Path(reverie.perception.data.__file__).with_name("make_imagenet_classes.py")
    spec = importlib.util.spec_from_file_location("make_imagenet_classes", script)
    make = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(make)
    names, descriptions = make.class_table()
    kept, _, vectors = load_classes()
    assert tuple(names) == kept
    np.testing.assert_allclose(MiniLM().encode(descriptions[::25]), vectors[::25], atol=2e-3)


def test_vectors_are_unit_and_do_not_depend_on_the_batch(conse):
    images = [photo(name) for name in PHOTOS]
    together = conse.encode(images)
    assert together.embedding.shape == (len(PHOTOS), 384)
    assert together.embedding.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(together.embedding, axis=1), 1, atol=1e-5)
    alone = np.concatenate([conse.encode([image]).embedding for image in images])
    assert np.einsum("nd,nd->n", alone, together.embedding).min() > 0.9999


def test_labels_name_what_is_there(conse):
    cat, coffee = (conse.encode([photo(name)]).labels[0] for name in ("chelsea.png", "coffee.png"))
    assert [label.name for label in cat[:2]] == ["cat", "Egyptian cat"]
    assert coffee[0].name == "espresso"
    assert all(0.02 <= label.score <= 1 for label in cat + coffee)
    assert [label.score for label in cat] == sorted((label.score for label in cat), reverse=True)


def test_text_finds_its_picture(conse):
    pictures = conse.encode([photo(name) for name in PHOTOS]).embedding
    queries = {
        "a cat looks into the camera": "chelsea.png",
        "a cup of coffee": "coffee.png",
        "a rocket on its launch pad": "rocket.jpg",
        "a motorbike": "motorcycle_left.png",
        "an old temple": "china.jpg",
    }
    best = (MiniLM().encode(list(queries)) @ pictures.T).argmax(axis=1)
    assert [PHOTOS[index] for index in best] == list(queries.values())
    assert MiniLM().encoder_id == conse.text_encoder_id


def test_folding_the_norms_changes_nothing(conse):
    import torch
    from efficientnet_lite_pytorch import EfficientNet

    plain = EfficientNet.from_name("efficientnet-lite2")
    plain.load_state_dict(torch.load(resolve("efficientnet-lite2"), weights_only=True))
    plain.eval()
    image = np.array(Image.fromarray(photo("coffee.png")).resize((260, 260)))
    pixels = torch.from_numpy((image.astype(np.float32) - 127) / 128).permute(2, 0, 1)[None]
    with torch.inference_mode():
        expected = plain(pixels).softmax(dim=1).numpy()
    np.testing.assert_allclose(conse.classify([image]), expected, atol=1e-4)


# --- the stage ----------------------------------------------------------------------------------


def test_one_observation_a_frame(conse):
    stage = VisionStage(conse)
    given_frames = list(frames([photo("chelsea.png")] * 2 + [photo("coffee.png")]))
    seen = list(stage.process(given_frames))
    assert [o.seq for o in seen] == [0, 1, 2]
    assert [o.starts_shot for o in seen] == [False, False, True]
    assert all(o.modality is Modality.VISION and o.encoder == conse.encoder_id for o in seen)
    assert [(o.span.start_ns, o.span.duration_ns) for o in seen] == [(f.pts_ns, ns(0.5)) for f in given_frames]
    assert {label.kind for label in seen[0].labels} == {"class", "colour"}
    thumbnail = Image.open(io.BytesIO(seen[2].thumbnail))
    assert (thumbnail.format, max(thumbnail.size)) == ("JPEG", 480)
    assert stage.counters.drain() == {"frames_encoded": 3, "shots": 1}
    assert stage.horizon("s") is None


def test_a_snapshot_carries_the_shot_on(conse):
    pictures = list(frames(pan("astronaut.png", 3, 0.05) + pan("coffee.png", 2, 0.05)))
    whole = [o.starts_shot for o in VisionStage(conse).process(pictures)]
    before, after = VisionStage(conse), VisionStage(conse)
    list(before.process(pictures[:3]))
    after.restore("s", pickle.loads(pickle.dumps(before.snapshot("s"))))
    assert [o.starts_shot for o in after.process(pictures[3:])] == whole[3:] == [True, False]
    after.restore("s", None)
    assert after.snapshot("s") is None


# --- open_clip ----------------------------------------------------------------------------------


TINY = {
    "embed_dim": 24,
    "vision_cfg": {"image_size": 64, "layers": 2, "width": 64, "head_width": 32, "patch_size": 16},
    "text_cfg": {"context_length": 32, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 2},
}


@pytest.fixture(scope="module")
def tiny_clip(tmp_path_factory):
    """A folder as open_clip's models on the Hub are, with the weights of a random model."""
    import torch
    from open_clip import CLIP
    from safetensors.torch import save_file

    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("clip")
    save_file({name: value.contiguous() for name, value in CLIP(**TINY).state_dict().items()}, folder / "w.safetensors")
    preprocess = {"mean": [0.5] * 3, "std": [0.5] * 3, "interpolation": "bicubic", "resize_mode": "shortest"}
    (folder / "open_clip_config.json").write_text(json.dumps({"model_cfg": TINY, "preprocess_cfg": preprocess}))
    return folder


@pytest.mark.slow
def test_open_clip_puts_pictures_and_text_into_one_space(tiny_clip):
    config = OpenClipConfig(weights=f"file:{tiny_clip}", device="cpu", batch_size=3)
    pictures, text = OpenClipFrames(config), pickle.loads(pickle.dumps(OpenClipText(config)))
    encoded = pictures.encode([photo(name) for name in PHOTOS])
    sentences = text.encode(["a cat", "a cup of coffee " * 50, ""])
    assert encoded.embedding.shape == (len(PHOTOS), 24)
    assert sentences.shape == (3, 24)
    assert pictures.encoder_id == pictures.text_encoder_id == text.encoder_id
    for rows in (encoded.embedding, sentences):
        assert rows.dtype == np.float32
        np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-5)
    alone = pictures.encode([photo(PHOTOS[4])]).embedding[0]
    assert alone @ encoded.embedding[4] > 0.9999
    assert encoded.labels == ((),) * len(PHOTOS)
    assert text.encode([]).shape == (0, 24)


@pytest.mark.slow
def test_open_clip_labels_from_a_vocabulary(tiny_clip):
    config = OpenClipConfig(
        weights=f"file:{tiny_clip}", device="cpu", vocabulary=("cat", "dog", "rocket"), min_probability=0
    )
    (labels,) = OpenClipFrames(config).encode([photo("chelsea.png")]).labels
    assert sorted(label.name for label in labels) == ["cat", "dog", "rocket"]
    assert sum(label.score for label in labels) == pytest.approx(1)


@pytest.mark.slow
def test_open_clip_refuses_what_does_not_fit(tiny_clip, tmp_path):
    weights = tiny_clip / "w.safetensors"
    with pytest.raises(ModelError, match="architecture"):
        OpenClipFrames(OpenClipConfig(weights=f"file:{weights}")).load()
    with pytest.raises(ModelError, match="does not fit"):
        OpenClipFrames(OpenClipConfig(weights=f"file:{weights}", architecture="RN50", device="cpu")).load()
    (tmp_path / "w.safetensors").write_bytes(weights.read_bytes())
    with pytest.raises(ModelError, match="open_clip_config"):
        OpenClipFrames(OpenClipConfig(weights=f"file:{tmp_path}")).load()


@pytest.mark.gpu
def test_open_clip_on_cuda_in_bfloat16_agrees_with_the_cpu(tiny_clip):
    torch = pytest.importorskip("torch")
    if not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
    images = [photo(name) for name in PHOTOS]
    rows = [
        OpenClipFrames(OpenClipConfig(weights=f"file:{tiny_clip}", device=device)).encode(images).embedding
        for device in ("cpu", "cuda")
    ]
    assert np.einsum("nd,nd->n", *rows).min() > 0.99
