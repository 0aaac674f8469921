"""A convolution of torch_geometric by name: it trains, resumes without a bit of difference, and stands in a table."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from lgsf.config.experiment import Experiment
from lgsf.evaluation.evaluate import evaluate
from lgsf.tables.write import write_tables
from lgsf.training.train import train
from lgsf.training.trainer import Trainer

pytestmark = pytest.mark.seconds

KIND = "torch_geometric.nn:TransformerConv"
SMALL = {"embedding_dim": 16, "word_dim": 8, "interaction": {"heads": 2}}


class PulledError(Exception):
    """The plug, in the middle of an epoch."""


def test_it_trains_resumes_and_stands_in_a_table(
    tmp_path: Path, tiny_dataset: Path, tiny_config: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    results = tmp_path / "results"
    runs = {}
    for method, graph in (("lgsf", {"kind": KIND, "heads": 2, "ff": 8}), ("base", {"kind": "none"})):
        config = tiny_config(model="lgsf.models.lgsf:LGSF", parameters={**SMALL, "graph": graph}, region_drop=0.2)
        named = json.loads(config.read_text()) | {"method": method, "title": method.upper()}
        config = tmp_path / f"{method}.json"
        config.write_text(json.dumps(named))
        for seed in (0, 1, 2):
            runs[method, seed] = results / "tiny" / method / f"seed{seed}"
            train(config=config, dataset=tiny_dataset, seed=seed, out=runs[method, seed])
            evaluate(run=runs[method, seed], dataset=tiny_dataset, memory_mb=16)
    assert sys.modules["torch_geometric.nn"]
    record = json.loads((runs["lgsf", 0] / "run.json").read_text())
    assert record["config"]["parameters"]["graph"]["kind"] == KIND

    # Stopped in its third epoch and started again.
    step = Trainer._step

    def pulled(self: Trainer, batch, number: int, epoch: int):  # type: ignore[no-untyped-def]
        if epoch == 3:
            raise PulledError
        return step(self, batch, number, epoch)

    again = tmp_path / "again"
    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "_step", pulled)
        with pytest.raises(PulledError):
            train(config=tmp_path / "lgsf.json", dataset=tiny_dataset, seed=0, out=again)
    assert not (again / "run.json").exists()
    train(config=tmp_path / "lgsf.json", dataset=tiny_dataset, seed=0, out=again)
    assert json.loads((again / "run.json").read_text())["resumed"] == 1
    for name in ("model.safetensors", "training_only.safetensors"):
        assert (again / name).read_bytes() == (runs["lgsf", 0] / name).read_bytes()

    methods = [{"name": name, "title": name.upper()} for name in ("lgsf", "base")]
    listed = {"datasets": ["tiny"], "seeds": [0, 1, 2], "reference": "base", "methods": methods}
    experiment = Experiment.parse(json.dumps({"experiment": "convolution", **listed}))
    write_tables(experiment, results=results, out=tmp_path / "tables")
    rows = pd.read_csv(tmp_path / "tables/runs.csv")
    own = rows[(rows["method"] == "lgsf") & (rows["protocol"] == "full")]
    assert own["status"].tolist() == ["finished"] * 3
    assert own["rsum"].between(0, 600).all()
    tests = pd.read_csv(tmp_path / "tables/comparisons.csv")
    assert {"lgsf"} <= set(tests["method"]) and tests["p"].notna().any()
