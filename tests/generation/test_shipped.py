"""The weights that ship: what the README beside them promises, and that they make what they are told."""

import json

import numpy as np

from benchmarks.appearance import hero_distance
from benchmarks.imagined import Studio, gate
from reverie.generation import checkpoint
from reverie.generation.checkpoint import SHIPPED
from reverie.pipeline.imagine import imagine

MOST_PARAMETERS, MOST_BYTES = 9_000_000, 20_000_000


def test_the_files_are_as_small_as_promised_and_say_how_they_came_to_be():
    assert sum(tensor.numel() for tensor in checkpoint.load(SHIPPED).state_dict().values()) <= MOST_PARAMETERS
    assert sum(path.stat().st_size for path in SHIPPED.parent.iterdir()) <= MOST_BYTES
    told = checkpoint.told(SHIPPED)
    log = [json.loads(line) for line in SHIPPED.with_name("training.jsonl").read_text().splitlines()]
    stages = {line["stage"]: line["step"] for line in log}
    assert told["seed"] == "0"
    assert list(stages) == ["vae", "base"]
    assert 0 <= int(told["base_steps"]) - stages["base"] < 50


def test_a_camera_goes_where_it_is_told_over_what_was_given(tmp_path):
    passed, told = gate(Studio(SHIPPED, tmp_path), range(8))
    assert passed, told


def test_a_prompt_is_what_is_seen():
    for prompt, own, other in (("a red circle over grass", "red", "blue"), ("a blue circle over sand", "blue", "red")):
        frames = np.concatenate([clip.frames for clip in imagine(prompt, seconds=4, seed=1)])
        assert hero_distance(frames, own) < hero_distance(frames, other) / 2, prompt
