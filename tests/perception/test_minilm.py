import json
import pickle
import struct
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reverie.errors import ModelError, UsageError
from reverie.perception.minilm import ENCODER_ID, MiniLM, map_safetensors
from reverie.perception.models import resolve


@pytest.fixture(scope="module")
def encoder() -> MiniLM:
    return MiniLM()


@pytest.fixture(scope="module")
def uncached() -> MiniLM:
    return MiniLM(cache_size=0)


def test_half_of_a_character_is_shown(encoder):
    with pytest.raises(UsageError, match="udc00' holds half of a character"):
        encoder.encode(["whole", "half \udc00"])


def test_rows_are_unit_float32(encoder):
    rows = encoder.encode(["a dog runs", "", "word " * 1000, "Ünïcode ☂ 漢字"])
    assert rows.shape == (4, 384)
    assert rows.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-6)
    assert encoder.encode([]).shape == (0, 384)
    assert encoder.encoder_id == ENCODER_ID


def test_paraphrases_lie_nearer_than_the_unrelated(encoder):
    said, again, other = encoder.encode(
        [
            "the train leaves from platform nine at noon",
            "at twelve o'clock the train departs from track 9",
            "she is cooking pasta with tomatoes",
        ]
    )
    assert said @ again > 0.6
    assert said @ other < 0.2


@settings(max_examples=6, deadline=None)
@given(st.lists(st.text(max_size=60), min_size=1, max_size=12))
def test_a_vector_does_not_depend_on_its_batch(uncached, texts):
    together = uncached.encode(texts)
    alone = np.concatenate([uncached.encode([text]) for text in texts])
    np.testing.assert_allclose(together, alone, atol=2e-6)


def test_packs_larger_than_one_keep_their_order(uncached):
    texts = [f"{'very ' * (index % 37)}long sentence {index}" for index in range(150)]
    together = uncached.encode(texts)
    for index in (0, 36, 37, 149):
        np.testing.assert_allclose(together[index], uncached.encode([texts[index]])[0], atol=2e-6)


def test_the_cache_is_bounded_and_gives_what_was_computed(encoder):
    small = MiniLM(cache_size=2)
    first = small.encode(["one", "two", "three", "one"])
    assert len(small._cache) == 2
    np.testing.assert_array_equal(first[0], first[3])
    np.testing.assert_array_equal(small.encode(["three"])[0], first[2])
    small.encode(["three"])[0, 0] = 7  # a caller's own copy
    np.testing.assert_array_equal(small.encode(["three"])[0], first[2])


def test_threads_may_share_it():
    shared = MiniLM(cache_size=3)
    texts = [f"sentence {index % 7}" for index in range(40)]
    with ThreadPoolExecutor(4) as pool:
        rows = list(pool.map(lambda text: shared.encode([text])[0], texts))
    np.testing.assert_allclose(np.stack(rows), shared.encode(texts), atol=2e-6)


def test_a_pickle_carries_no_weights(encoder):
    (before,) = encoder.encode(["loaded"])
    pickled = pickle.dumps(encoder)
    assert len(pickled) < 1000
    np.testing.assert_allclose(pickle.loads(pickled).encode(["loaded"])[0], before, atol=2e-6)


def test_weights_are_mapped_not_copied():
    weights = map_safetensors(resolve("minilm") / "model.safetensors")
    table = weights["embeddings.word_embeddings.weight"]
    assert table.shape == (30522, 384)
    assert not table.flags.writeable
    assert not table.flags.owndata


@pytest.mark.parametrize("content", [b"", b"abc", struct.pack("<Q", 4) + b"{..}", struct.pack("<Q", 2**60) + b"{}"])
def test_other_files_are_refused_by_name(tmp_path, content):
    path = tmp_path / "model.safetensors"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=r"model\.safetensors"):
        map_safetensors(path)


def test_missing_and_foreign_weights_are_refused(tmp_path):
    with pytest.raises(ModelError, match="missing"):
        MiniLM(tmp_path).encode(["x"])
    (tmp_path / "tokenizer.json").write_bytes((resolve("minilm") / "tokenizer.json").read_bytes())
    header = json.dumps({"w": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}).encode()
    (tmp_path / "model.safetensors").write_bytes(struct.pack("<Q", len(header)) + header + bytes(4))
    with pytest.raises(ModelError, match="not MiniLM"):
        MiniLM(tmp_path).encode(["x"])


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_equals_the_reference_implementation(encoder):
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    folder = str(resolve("minilm"))
    bert = transformers.BertModel.from_pretrained(folder, local_files_only=True).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder, local_files_only=True)
    texts = ["", "word " * 400, "Ünïcode ☂ 漢字", "The quick brown fox.", "it's 9:41, isn't it?", "x"]
    texts += [f"sentence number {index} about {'cats ' * (index % 9)}" for index in range(20)]
    with torch.no_grad():
        means = [
            bert(**tokenizer(text, return_tensors="pt", truncation=True, max_length=256)).last_hidden_state.mean(1)
            for text in texts
        ]
        reference = torch.nn.functional.normalize(torch.cat(means)).numpy()
    np.testing.assert_allclose(encoder.encode(texts), reference, atol=1e-5)
