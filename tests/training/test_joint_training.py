"""Two processes train a run to the ranks of one, and one that is killed changes nothing in the end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from lgsf.config.run_settings import Training
from lgsf.evaluation.evaluate import evaluate
from lgsf.models.base import Method
from lgsf.runs.ranks import read_ranks
from lgsf.system.errors import LgsfError
from lgsf.system.locks import run_lock
from lgsf.training import trainer
from lgsf.training.ranks import Ranks
from lgsf.training.train import train
from tests.baselines.test_training import METHODS
from tests.conftest import write_config
from tests.support.pair import in_a_pair
from tests.training.test_train import command, same_run

pytestmark = [pytest.mark.seconds, pytest.mark.xdist_group("pairs")]

LGSF = {"graph": {"heads": 2, "ff": 8, "dropout": 0.0}, "interaction": {"heads": 2, "dropout": 0.0}}
ALL: dict[str, tuple[str, dict[str, Any]]] = {
    "lgsf": ("lgsf.models.lgsf:LGSF", {**LGSF, "region_encoder": "mlp"}),
    "vsepp": ("baselines.vsepp:VSEPP", {}),
    **{name: (model, parameters) for name, (model, parameters, _) in METHODS.items()},
}
NO_DROPOUT = {
    "sgr": {"dropout": 0.0},
    "saf": {"dropout": 0.0},
    "vsrn": {"caption_dropout": 0.0},
    "hrem": {"dropout": 0.0},
}


def configure(folder: Path, name: str, processes: int, **training: Any) -> Path:
    model, parameters = ALL[name]
    folder.mkdir(parents=True)
    sizes = {"embedding_dim": 16, "word_dim": 8, **parameters, **NO_DROPOUT.get(name, {})}
    drops = {"region_drop": 0.2, "word_drop": 0.2, "epochs": 2}
    path = write_config(folder / "config.json", model=model, parameters=sizes, **drops | training)
    path.write_text(json.dumps({**json.loads(path.read_text()), "processes": processes}))
    return path


def descent(method: Method, options: Training) -> torch.optim.Optimizer:
    groups = [{"params": list(method.parameters()), "factor": 1.0}]
    return torch.optim.SGD(groups, lr=options.learning_rate)


def trained(ranks: Ranks, config: Path, dataset: Path, out: Path) -> None:
    train(config=config, dataset=dataset, seed=0, out=out)


def descended(ranks: Ranks, config: Path, dataset: Path, out: Path) -> None:
    trainer.build_optimizer = descent
    trained(ranks, config, dataset, out)


def by_two(config: Path, dataset: Path, out: Path) -> list[Any]:
    return in_a_pair(trained, config, dataset, out)


@pytest.mark.parametrize("name", [pytest.param(name, marks=[] if name == "lgsf" else pytest.mark.slow) for name in ALL])
def test_two_processes_train_and_rank_as_one_does(
    name: str, tmp_path: Path, tiny_dataset: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With plain gradient descent: Adam makes steps of full length of what is rounding alone, where a gradient is zero."""
    monkeypatch.setattr(trainer, "build_optimizer", descent)
    one, two = tmp_path / "one/seed0", tmp_path / "two/seed0"
    train(config=configure(one.parent, name, 1), dataset=tiny_dataset, seed=0, out=one)
    assert in_a_pair(descended, configure(two.parent, name, 2), tiny_dataset, two) == [None, None]
    ours, theirs = (load_file(run / "model.safetensors") for run in (two, one))
    torch.testing.assert_close(ours, theirs, rtol=0, atol=5e-5)
    for run in (one, two):
        evaluate(run=run, dataset=tiny_dataset, memory_mb=16)
    for split in ("dev", "test"):
        ours, theirs = (vars(read_ranks(run, split)) for run in (two, one))
        for ranks in ("i2t", "t2i", "i2t_fold", "t2i_fold"):
            np.testing.assert_array_equal(ours[ranks], theirs[ranks])
    records = [json.loads((run / "run.json").read_text()) for run in (one, two)]
    assert "processes" not in records[0]["config"] and records[1]["config"]["processes"] == 2
    for fact in ("dev", "steps", "best_epoch", "dev_looks"):
        assert records[0][fact] == records[1][fact]
    assert sorted(path.name for path in two.iterdir()) == sorted(path.name for path in one.iterdir())


def killable(folder: Path, rank: int) -> Path:
    """A training of two processes, with dropout, of which one obeys an order to die in the middle of epoch 2."""
    parameters = {
        "embedding_dim": 16, "word_dim": 8, "graph": {"heads": 2, "ff": 8}, "interaction": {"heads": 2, "start": 0.2},
        "order": str(folder / "order"), "at_step": 9, "rank": rank,
    }  # fmt: skip
    path = write_config(
        folder / "config.json", model="tests.support.killing:KilledOnce", parameters=parameters, region_drop=0.3,
        word_drop=0.3, epochs=3,
    )  # fmt: skip
    path.write_text(json.dumps({**json.loads(path.read_text()), "processes": 2}))
    return path


def test_a_run_of_which_a_process_was_killed_ends_like_an_undisturbed_one(tmp_path: Path, tiny_dataset: Path) -> None:
    config, whole, killed = killable(tmp_path, rank=1), tmp_path / "whole", tmp_path / "killed"
    assert by_two(config, tiny_dataset, whole) == [None, None]
    (tmp_path / "order").write_text(str(int(signal.SIGKILL)))
    first, second = by_two(config, tiny_dataset, killed)
    assert second == -signal.SIGKILL
    assert "PeerLostError: another process of this training ended or cannot be reached" in first
    assert (killed / ".resume/state.pt").is_file() and not (killed / "run.json").exists()
    assert len((killed / "log.jsonl").read_text().splitlines()) == 1
    assert by_two(config, tiny_dataset, killed) == [None, None]
    assert json.loads((killed / "run.json").read_text())["resumed"] == 1
    same_run(whole, killed, tiny_dataset)


@pytest.mark.slow
def test_the_verb_starts_its_processes_and_goes_on_after_whatever_ended_one(
    tmp_path: Path, tiny_dataset: Path, repository: Path
) -> None:
    config, whole, hurt = killable(tmp_path, rank=1), tmp_path / "whole", tmp_path / "hurt"
    assert by_two(config, tiny_dataset, whole) == [None, None]
    killed = "process 1 of the 2 that train this run was ended by SIGKILL"
    for number, status, sentence in ((9, 2, killed), (15, 143, "stopped by SIGTERM"), (None, 0, "done in")):
        if number is not None:
            (tmp_path / "order").write_text(str(number))
        log = ["--log", str(tmp_path / "train.log")]
        done = subprocess.run(
            [*command(config, tiny_dataset, hurt, seed=0), *log], cwd=repository, capture_output=True, text=True
        )
        assert done.returncode == status, done.stderr
        said = [line for line in done.stderr.splitlines() if "lgsf: " in line or "seed 0: " in line]
        assert sentence in said[-1] and "Traceback" not in done.stderr, done.stderr
        assert sum("lgsf: " in line for line in said) == (0 if number is None else 1)
    text = (tmp_path / "train.log").read_text()
    assert text.count("resumed after epoch 1") == 2 and text.count("epoch 3/3") == 1 and killed in text
    same_run(whole, hurt, tiny_dataset)


def test_only_the_first_process_needs_the_folder(tmp_path: Path, tiny_dataset: Path) -> None:
    """Whoever holds it keeps both out, and nothing is written."""
    with run_lock(tmp_path / "run"):
        outcomes = by_two(configure(tmp_path / "c", "vsepp", 2), tiny_dataset, tmp_path / "run")
    assert f"is being trained by process {os.getpid()}" in outcomes[0]
    assert "PeerLostError" in outcomes[1]
    assert list((tmp_path / "run").iterdir()) == []


def test_what_does_not_fit_together_is_one_sentence(tmp_path: Path, tiny_dataset: Path, monkeypatch) -> None:
    place = {"dataset": tiny_dataset, "seed": 0, "out": tmp_path / "run"}
    with pytest.raises(LgsfError, match="batch_size 15 is not a multiple of processes 2, and each process"):
        train(config=configure(tmp_path / "odd", "vsepp", 2, batch_size=15), **place)
    for name, value in {"RANK": "0", "WORLD_SIZE": "4", "MASTER_ADDR": "127.0.0.1"}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(LgsfError, match=r"says processes: 1 and 4 were started \(WORLD_SIZE\)"):
        train(config=configure(tmp_path / "one", "vsepp", 1), **place)
    assert not (tmp_path / "run").exists()
