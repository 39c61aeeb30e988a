import json

import pytest
import torch

from reverie.generation import checkpoint
from reverie.generation.training import loop
from reverie.generation.training.loop import STAGES, train
from reverie.generation.training.slow_fast import CHUNKS, EPISODES

pytestmark = pytest.mark.slow


@pytest.mark.filterwarnings("ignore")  # of accelerate and TensorBoard, about this machine
def test_a_run_that_was_cut_off_ends_as_one_that_was_not_and_stages_follow_each_other(tmp_path, monkeypatch):
    config = STAGES["vae"].config.model_copy(update={"batch": 2, "steps": 4})
    films = loop.batch_of

    def cut_off(seed, step, *size):
        if step == 2:
            raise KeyboardInterrupt
        return films(seed, step, *size)

    monkeypatch.setattr(loop, "batch_of", cut_off)
    with pytest.raises(KeyboardInterrupt):
        train("vae", tmp_path / "cut", config=config, save_every_s=0)
    monkeypatch.undo()
    assert train("vae", tmp_path / "cut", config=config) == 4
    assert train("vae", tmp_path / "straight", config=config) == 4
    resumed, straight = (checkpoint.load(tmp_path / run / "world.safetensors") for run in ("cut", "straight"))
    assert resumed.config == straight.config
    assert resumed.config.latent_scale != 1
    for name, tensor in straight.vae.state_dict().items():
        assert torch.allclose(resumed.vae.state_dict()[name], tensor, atol=1e-3), name
    assert any((tmp_path / "straight").glob("events.*")), "TensorBoard has something to show"
    assert json.loads((tmp_path / "straight" / "log.jsonl").read_text().splitlines()[-1])["step"] == 4

    first, small = tmp_path / "straight" / "world.safetensors", {"batch": 1, "steps": 1}
    for stage, left in (("lcm", "student"), ("rglcd", "student"), ("slow", "world")):
        assert train(stage, tmp_path / stage, start=first, config=STAGES[stage].config.model_copy(update=small)) == 1
        student = tmp_path / stage / "student.safetensors" if left == "student" else None
        checkpoint.load(first if student else tmp_path / stage / "world.safetensors", student)
    assert len(list((tmp_path / "slow" / "snapshots").glob("*.safetensors"))) == EPISODES * (CHUNKS + 1)
    for stage in ("base", "add", "cam", "apm"):
        assert train(stage, tmp_path / stage, start=first, config=STAGES[stage].config.model_copy(update=small)) == 1
        before, after = checkpoint.load(first), checkpoint.load(tmp_path / stage / "world.safetensors")
        kept = before.vae.encoder.conv_in.weight, after.vae.encoder.conv_in.weight
        assert torch.equal(*kept), "only the stage's own parts are trained"
        first = tmp_path / stage / "world.safetensors"
