"""Training behind one call: a stage of the small model by its name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from reverie.errors import UsageError


def train(
    stage: str,
    run: Path,
    start: Path | None,
    told: Mapping[str, float | None],
    seed: int,
    max_s: float,
    progress: Callable[[str], None],
) -> dict[str, Any]:
    """Train a stage, or go on with it; what is not told of its configuration is the stage's own.

    Raises:
        UsageError: no such stage, a number out of range, or packages of training that are not installed.
        ModelError: the weights to begin with cannot be read.
    """
    from reverie.generation.training.loop import STAGES, StageConfig
    from reverie.generation.training.loop import train as train_stage

    if stage not in STAGES:
        raise UsageError(f"there is no stage {stage!r}: use {', '.join(STAGES)}")
    given = {name: value for name, value in told.items() if value is not None}
    try:
        config = StageConfig.model_validate(STAGES[stage].config.model_dump() | given)
    except ValidationError as error:
        fault = error.errors()[0]
        raise UsageError(f"{fault['loc'][0]}: {fault['msg']}") from error
    try:
        steps = train_stage(stage, run, start=start, config=config, seed=seed, max_s=max_s, progress=progress)
    except ImportError as error:
        raise UsageError(f"training needs {error.name}: pip install 'reverie[train]'") from error
    return {"stage": stage, "steps": steps, "all_steps": config.steps, "weights": str(run / "world.safetensors")}
