import pickle

import pytest
import torch
from safetensors.torch import load_file, save_file

from reverie.errors import ModelError
from reverie.generation import checkpoint


@pytest.fixture
def saved(small_model, tmp_path):
    path = tmp_path / "world.safetensors"
    checkpoint.save(small_model, path, {"seed": "4"})
    return path


def test_a_model_comes_back_as_it_went_to_half_precision(small_model, saved):
    loaded = checkpoint.load(saved)
    assert loaded.config == small_model.config
    for name, tensor in small_model.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], tensor.half().float())
    assert checkpoint.told(saved)["seed"] == "4"
    assert not any(parameter.requires_grad for parameter in loaded.parameters())


def test_a_pickle_is_refused_unopened(tmp_path):
    path = tmp_path / "world.pt"
    path.write_bytes(pickle.dumps({"weights": 1}))
    with pytest.raises(ModelError, match="safetensors"):
        checkpoint.load(path)
    renamed = tmp_path / "renamed.safetensors"
    renamed.write_bytes(path.read_bytes())
    with pytest.raises(ModelError, match="cannot be read as safetensors"):
        checkpoint.load(renamed)


def test_what_is_missing_cut_or_of_another_shape_is_named(saved, tmp_path):
    with pytest.raises(ModelError, match="there is no model"):
        checkpoint.load(tmp_path / "none.safetensors")
    cut = tmp_path / "cut.safetensors"
    cut.write_bytes(saved.read_bytes()[:-1000])
    with pytest.raises(ModelError, match="cannot be read as safetensors"):
        checkpoint.load(cut)
    tensors = load_file(saved)
    tensors["text.places"] = tensors["text.places"][:, :1].contiguous()
    other = tmp_path / "other.safetensors"
    save_file(tensors, other, checkpoint.told(saved))
    with pytest.raises(ModelError, match=r"1 tensors .* text\.places first"):
        checkpoint.load(other)
    save_file(tensors, other, {"config": '{"depth": 3}'})
    with pytest.raises(ModelError, match="no model of the measurable world"):
        checkpoint.load(other)


def test_a_failed_save_leaves_the_old_file(small_model, saved, monkeypatch):
    before = saved.read_bytes()
    with pytest.raises(TypeError):
        checkpoint.save(small_model, saved, {"seed": 4})
    assert saved.read_bytes() == before
