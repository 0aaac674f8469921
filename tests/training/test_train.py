"""Training keeps its promises: resume changes no bit, failures keep what was good, one trainer per run."""

from __future__ import annotations

import importlib
import json
import os
import shutil
import signal
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from lgsf.config.run_settings import Training
from lgsf.data.batches.batch import Batch
from lgsf.evaluation.evaluate import evaluate
from lgsf.models.base import DataSpec, Encoded, Method, Parameters, Progress
from lgsf.system.errors import LgsfError
from lgsf.system.files import write_json
from lgsf.system.locks import run_lock
from lgsf.training.resume import ResumeState
from lgsf.training.train import train
from lgsf.training.trainer import NotFiniteError, learning_rate
from tests.conftest import write_config
from tests.support.verbs import in_a_process

pytestmark = pytest.mark.seconds

OUTPUTS = ("model.safetensors", "training_only.safetensors")


class Diverging(Method):
    """A linear model whose loss becomes NaN after a few steps."""

    class Parameters(Parameters):
        nan_from: int = 10

    def __init__(self, options: Diverging.Parameters, spec: DataSpec) -> None:
        super().__init__(options, spec)
        self.image = torch.nn.Linear(spec.region_dim, 4)
        self.text = torch.nn.Embedding(spec.vocabulary_size, 4)

    def encode_images(self, regions, mask, boxes=None):  # type: ignore[no-untyped-def]
        return Encoded(vector=self.image(regions.sum(1)))

    def encode_texts(self, tokens, mask):  # type: ignore[no-untyped-def]
        return Encoded(vector=(self.text(tokens) * mask[..., None]).sum(1))

    def loss(self, batch: Batch, images: Encoded, texts: Encoded, progress: Progress):  # type: ignore[no-untyped-def]
        value = (images.vector - texts.vector).square().mean()  # type: ignore[operator]
        return value * (float("nan") if progress.step >= self.options.nan_from else 1.0), {}


@pytest.fixture
def diverging(monkeypatch: pytest.MonkeyPatch) -> str:
    """The spec of `Diverging`, importable as a user's own module would be."""
    monkeypatch.setitem(sys.modules, "own_method", sys.modules[__name__])
    return "own_method:Diverging"


def verb(config: Path, dataset: Path, out: Path, seed: int = 3) -> list[str]:
    return ["train", "--config", str(config), "--dataset", str(dataset), "--seed", str(seed), "--out", str(out)]


def command(config: Path, dataset: Path, out: Path, seed: int = 3) -> list[str]:
    return [sys.executable, "-m", "lgsf", *verb(config, dataset, out, seed)]


def same_run(one: Path, other: Path, dataset: Path) -> None:
    for name in OUTPUTS:
        assert (one / name).read_bytes() == (other / name).read_bytes(), name
    logs = [[json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()] for run in (one, other)]
    for lines in logs:
        for line in lines:
            line.pop("seconds")
            line.pop("cpu_seconds")
    assert logs[0] == logs[1]
    for run in (one, other):
        evaluate(run=run, dataset=dataset, memory_mb=64)
    for split in ("dev", "test"):
        assert (one / split / "ranks.npz").read_bytes() == (other / split / "ranks.npz").read_bytes()


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory, tiny_dataset: Path) -> tuple[Path, Path]:
    """(config, run) of a training that nobody kills, though its method would obey an order to die."""
    importlib.import_module("torch._dynamo")  # torch's optimizers load it: here once, and not in every fork
    folder = tmp_path_factory.mktemp("whole")
    parameters = {"embedding_dim": 16, "word_dim": 8, "graph": {"heads": 2, "ff": 8}, "interaction": {"heads": 2}}
    # Dropping makes every epoch draw numbers that a resumed one must draw again; so does dropout.
    config = write_config(
        folder / "config.json",
        model="tests.support.killing:KilledOnce",
        parameters={**parameters, "order": str(folder / "order"), "at_step": 15},
        region_drop=0.3,
        word_drop=0.3,
    )
    assert in_a_process(verb(config, tiny_dataset, folder / "run")).status == 0
    return config, folder / "run"


@pytest.mark.parametrize("stop", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_killed_run_ends_like_an_uninterrupted_one(
    tmp_path: Path, tiny_dataset: Path, uninterrupted, stop: signal.Signals
) -> None:
    config, finished = uninterrupted
    whole, killed = shutil.copytree(finished, tmp_path / "whole"), tmp_path / "killed"
    (config.parent / "order").write_text(str(int(stop)))
    first = in_a_process(verb(config, tiny_dataset, killed))
    assert first.status == (-stop if stop == signal.SIGKILL else 128 + stop), first.said
    assert "Traceback" not in first.said
    record = json.loads((finished / "run.json").read_text())
    assert 0 < 15 % record["steps_per_epoch"] < record["steps_per_epoch"] - 1  # killed in mid-epoch
    assert len(_log(killed)) == 15 // record["steps_per_epoch"] > 0
    assert (killed / ".resume" / "state.pt").is_file()
    assert not (killed / "run.json").exists()

    again = in_a_process(verb(config, tiny_dataset, killed))
    assert again.status == 0, again.said
    assert "resumed after epoch" in again.said
    assert not (killed / ".resume").exists()
    assert json.loads((killed / "run.json").read_text())["resumed"] == 1
    same_run(whole, killed, tiny_dataset)


def test_a_published_run_leaves_nothing_to_resume_and_repeats_exactly(tmp_path, tiny_dataset, tiny_config) -> None:
    config = tiny_config()
    for name in ("one", "two"):
        train(config=config, dataset=tiny_dataset, seed=1, out=tmp_path / name)
    same_run(tmp_path / "one", tmp_path / "two", tiny_dataset)
    before = (tmp_path / "one" / "run.json").stat().st_mtime_ns
    train(config=config, dataset=tiny_dataset, seed=1, out=tmp_path / "one")  # asked again: trained again
    record = json.loads((tmp_path / "one" / "run.json").read_text())
    assert (tmp_path / "one" / "run.json").stat().st_mtime_ns > before
    assert (record["resumed"], record["dev_looks"], record["ending"]) == (0, 4, "finished")
    assert record["steps"] == 4 * record["steps_per_epoch"]
    assert record["text_encoder"] == "GRU"
    best = max(range(4), key=lambda e: _log(tmp_path / "one")[e]["dev"]["rsum"])
    assert record["best_epoch"] == best + 1
    train(config=config, dataset=tiny_dataset, seed=2, out=tmp_path / "three")
    assert (tmp_path / "three/model.safetensors").read_bytes() != (tmp_path / "one/model.safetensors").read_bytes()


def _log(run: Path) -> list[dict]:
    return [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]


def test_dev_metrics_of_the_log_are_those_of_evaluation(tmp_path, tiny_dataset, tiny_config) -> None:
    from lgsf.metrics.recall import metrics
    from lgsf.runs.ranks import read_ranks

    train(config=tiny_config(), dataset=tiny_dataset, seed=0, out=tmp_path / "run")
    evaluate(run=tmp_path / "run", dataset=tiny_dataset, memory_mb=64)
    ranks = read_ranks(tmp_path / "run", "dev")
    assert metrics(ranks.i2t, ranks.t2i) == json.loads((tmp_path / "run/run.json").read_text())["dev"]
    test = read_ranks(tmp_path / "run", "test")
    assert test.image_fold.tolist() == [0] * 6 + [1] * 6
    assert (test.t2i_fold <= test.t2i).all()
    assert (test.t2i_fold < test.t2i).any()


def test_a_loss_that_is_not_finite_stops_with_a_sentence_and_keeps_the_last_epoch(
    tmp_path, tiny_dataset, tiny_config, diverging
) -> None:
    config = tiny_config(model=diverging, parameters={"nan_from": 10})
    out = tmp_path / "run"
    with pytest.raises(
        NotFiniteError, match=r"the loss was not finite near step \d+ in epoch 2; the state after epoch 1"
    ):
        train(config=config, dataset=tiny_dataset, seed=0, out=out)
    assert json.loads((out / "failure.json").read_text())["epoch"] == 2
    state = torch.load(out / ".resume" / "state.pt", weights_only=True)
    assert all(torch.isfinite(t).all() for t in state["method"].values())
    assert not (out / "run.json").exists()
    train(config=tiny_config(model=diverging, parameters={"nan_from": 9999}), dataset=tiny_dataset, seed=0, out=out)
    assert not (out / "failure.json").exists()  # a later success takes the failure back


def test_two_trainers_never_share_a_run(tmp_path, tiny_dataset, tiny_config) -> None:
    with run_lock(tmp_path / "run"):
        done = in_a_process(verb(tiny_config(), tiny_dataset, tmp_path / "run"))
    assert done.status == 2
    assert f"is being trained by process {os.getpid()} on" in done.said
    assert "Traceback" not in done.said
    assert list((tmp_path / "run").glob("*.safetensors")) == []


def test_state_of_other_settings_is_not_resumed(tmp_path, caplog) -> None:
    ResumeState(tmp_path, "one").save({"x": 1})
    assert ResumeState(tmp_path, "one").load() == {"x": 1}
    assert ResumeState(tmp_path, "other").load() is None
    assert "belongs to other settings" in caplog.text


def test_a_broken_state_means_a_fresh_start(tmp_path, caplog) -> None:
    state = ResumeState(tmp_path, "k")
    state.save({"x": torch.zeros(1000)})
    state.path.write_bytes(state.path.read_bytes()[:-700])
    assert state.load() is None
    assert "cannot be read" in caplog.text


def test_a_failing_save_leaves_the_old_state(tmp_path, monkeypatch) -> None:
    state = ResumeState(tmp_path, "k")
    state.save({"x": 1})

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(LgsfError, match="No space left on device"):
        state.save({"x": 2})
    monkeypatch.undo()
    assert state.load() == {"x": 1}
    assert [p.name for p in state.folder.iterdir()] == ["state.pt"]


def test_learning_rate_schedule() -> None:
    options = Training(learning_rate=1.0, warmup_steps=4, decay_epochs=(2, 3), decay_factor=0.1)
    rates = [learning_rate(options, step, epoch) for step, epoch in ((0, 1), (1, 1), (3, 1), (9, 2), (20, 3), (30, 4))]
    assert rates == pytest.approx([0.25, 0.5, 1.0, 1.0, 0.1, 0.01])


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"model": "baselines.vsepp:Nothing"}, "has no class 'Nothing'"),
        ({"model": "no.such.module:X"}, "cannot be imported"),
        ({"model": "json:JSONDecoder"}, "is not a subclass"),
        ({"parameters": {"embedding_dimension": 3}}, "unknown key 'embedding_dimension'"),
        ({"learning_rates": 3}, "unknown key 'training.learning_rates'"),
        ({"epochs": "four"}, "training.epochs: input should be a valid integer, not 'four'"),
    ],
)
def test_bad_settings_are_one_sentence(tmp_path, tiny_dataset, tiny_config, change, sentence) -> None:
    with pytest.raises(LgsfError, match=sentence):
        train(config=tiny_config(**change), dataset=tiny_dataset, seed=0, out=tmp_path / "run")
    assert not list((tmp_path / "run").glob("*.*"))


def test_evaluation_refuses_other_data(tmp_path, tiny_dataset, tiny_config) -> None:
    train(config=tiny_config(epochs=1), dataset=tiny_dataset, seed=0, out=tmp_path / "run")
    other = tmp_path / "other"
    shutil.copytree(tiny_dataset, other)
    manifest = json.loads((other / "dataset.json").read_text())
    write_json(other / "dataset.json", {**manifest, "note": 1})
    with pytest.raises(LgsfError, match="trained on another version"):
        evaluate(run=tmp_path / "run", dataset=other, memory_mb=64)


def test_load_run_encodes_and_searches(tmp_path, tiny_dataset, tiny_config) -> None:
    import lgsf
    from lgsf.data.batches.training import image_batches
    from lgsf.data.layout import open_dataset
    from lgsf.runs.ranks import read_ranks

    train(config=tiny_config(), dataset=tiny_dataset, seed=0, out=tmp_path / "run")
    evaluate(run=tmp_path / "run", dataset=tiny_dataset, memory_mb=64)
    run = lgsf.load_run(tmp_path / "run", tiny_dataset)
    split = open_dataset(tiny_dataset).split("test")
    (batch,) = image_batches(split, 128)
    texts = run.encode_texts(list(split.captions["text"]))
    best = run.search(texts, run.encode_images(*batch), k=1)[:, 0].numpy()
    ranks = read_ranks(tmp_path / "run", "test")
    assert ((best == split.caption_image) == (ranks.t2i == 0)).mean() > 0.95  # exact ties aside
    assert np.isfinite(texts.vector.numpy()).all()
