"""Plans of small methods on the tiny dataset, as the configuration would make them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from lgsf.config.file import Config
from lgsf.tuning.plan import write_plan

TRAINING = {"batch_size": 16, "epochs": 2, "sum_steps": 5, "learning_rate": 0.01}
METHODS: dict[str, Any] = {
    "small": {
        "model": "baselines.vsepp:VSEPP",
        "parameters": {"embedding_dim": 16, "word_dim": 8},
        "ranges": {"parameters.margin": {"low": 0.1, "high": 0.3, "step": 0.1}},
    },
    "wide": {"extends": "small", "parameters": {"embedding_dim": 24, "margin": 0.2}},
}
SHARED = {"training.learning_rate": {"low": 0.001, "high": 0.1, "log": True}}


def raw_config(**changes: Any) -> dict[str, Any]:
    """A configuration of the methods above; `changes` replace its sections."""
    return {
        "experiment": "try",
        "run": {"datasets": ["tiny"], "methods": ["small", "wide"], "seeds": [0], "reference": "small"},
        "datasets": {"tiny": {"source": "scenes"}, "other": {"source": "scenes"}},
        "training": TRAINING,
        "methods": METHODS,
        "tuning": {"trials": 2, "ranges": SHARED},
        **changes,
    }


def plan_of(folder: Path, method: str = "small", *, dataset: str = "tiny", **changes: Any) -> Path:
    """Write `plan.json` of a method into `folder`."""
    write_plan(Config.parse(raw_config(**changes)).tuning_settings(dataset, method), out=folder / "plan.json")
    return folder / "plan.json"


def records(folder: Path) -> list[dict[str, Any]]:
    """The lines of trials.jsonl."""
    return [json.loads(line) for line in (folder / "trials.jsonl").read_text().splitlines()]
