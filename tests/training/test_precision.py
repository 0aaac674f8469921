"""Every method trains in every precision; norms, scores and losses stay float32; TF32 is a GPU's alone."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from lgsf.config.run_settings import Training
from lgsf.models.base import Encoded, Method
from lgsf.models.kernels.collective import ALONE
from lgsf.runs.record import read_record
from lgsf.system.errors import LgsfError
from lgsf.training.optimizer import build_optimizer
from lgsf.training.precision import check_precision, encoding, products
from lgsf.training.ranks import Ranks
from lgsf.training.train import train
from lgsf.training.trainer import Trainer
from tests.support.accelerator import accelerator
from tests.support.every_method import FORMS
from tests.support.properties import ragged_batch

CPU = torch.device("cpu")


def _trainer(method: Method, options: Training) -> SimpleNamespace:
    """What a step asks of its trainer."""
    optimizer, ranks = build_optimizer(method, options), Ranks(ALONE, CPU)
    return SimpleNamespace(
        options=options, optimizer=optimizer, method=method, device=CPU, total_steps=100, ranks=ranks
    )


def _losses(name: str, precision: str, steps: int = 5) -> list[float]:
    """The loss of each step of the trainer on one batch that comes again and again."""
    method, options = FORMS[name].build().train(), Training(batch_size=5, learning_rate=0.01, precision=precision)
    trainer = _trainer(method, options)
    torch.manual_seed(0)
    losses = []
    for _ in range(steps):
        done = Trainer._step(trainer, ragged_batch(), 99, 1)  # the last step: whatever starts late has started
        assert done["loss"].dtype == torch.float32
        assert torch.isfinite(done["grad_norm"])
        losses.append(float(done["loss"]))
    assert all(p.dtype == p.grad.dtype == torch.float32 for p in method.parameters() if p.grad is not None)
    return losses


@pytest.mark.parametrize("name", FORMS)
def test_every_method_learns_in_bfloat16(name: str) -> None:
    coarse, exact = _losses(name, "bfloat16"), _losses(name, "float32", steps=1)
    assert coarse[0] == pytest.approx(exact[0], rel=0.1)
    assert coarse[0] != exact[0]  # something was computed in bfloat16
    assert coarse[-1] < coarse[0]
    with accelerator():
        assert _losses(name, "bfloat16", steps=1)[0] == pytest.approx(exact[0], rel=0.1)


@pytest.mark.parametrize("name", ["lgsf", "scan_t2i_lse", "saf", "vsrn_coco", "hrem_hinge", "vsepp"])
def test_scores_and_losses_are_float32_in_bfloat16(name: str, monkeypatch) -> None:
    method, seen = FORMS[name].build().train(), []

    def loss(batch, images: Encoded, texts: Encoded, progress):
        assert not torch.is_autocast_enabled("cpu")
        seen.extend(t.dtype for e in (images, texts) for t in (e.vector, e.fragments) if t is not None)
        seen.append(method.similarity(images, texts).dtype)
        return sum(p.sum() for p in method.parameters()), {}

    monkeypatch.setattr(method, "loss", loss)
    options = Training(batch_size=5, precision="bfloat16")
    trainer = _trainer(method, options)
    Trainer._step(trainer, ragged_batch(), 0, 1)
    assert set(seen) == {torch.float32}


def test_tf32_is_on_for_encoders_and_gradients_alone(monkeypatch) -> None:
    """Its switches can be seen without a GPU."""
    cuda = torch.device("cuda")

    def on() -> tuple[bool, bool]:
        return torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32

    before = on()
    try:
        for precision, inside in (("float32", False), ("tf32", True)):
            with encoding(precision, cuda):
                assert on() == (inside, inside)
            assert on() == (False, False)
            with products(precision, cuda):
                assert on() == (inside, inside)
            assert on() == (False, False)
        with pytest.raises(ZeroDivisionError), products("bfloat16", cuda):
            raise ZeroDivisionError
        assert on() == (False, False)
    finally:
        torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32 = before


def test_tf32_is_refused_on_a_cpu(tmp_path: Path, tiny_dataset, tiny_config) -> None:
    with pytest.raises(LgsfError, match="precision tf32 is the arithmetic of a GPU and the device is cpu: set float32"):
        train(config=tiny_config(precision="tf32"), dataset=tiny_dataset, seed=0, out=tmp_path / "run")
    check_precision("tf32", torch.device("cuda"), source=tmp_path)
    check_precision("bfloat16", CPU, source=tmp_path)


def test_a_cpu_trains_in_bfloat16_and_says_so_in_the_record(tmp_path: Path, tiny_dataset, tiny_config) -> None:
    results = {}
    for precision in ("float32", "bfloat16"):
        run = tmp_path / precision
        train(config=tiny_config(precision=precision), dataset=tiny_dataset, seed=0, out=run)
        results[precision] = (run / "model.safetensors").read_bytes()
        assert read_record(run).config["training"]["precision"] == precision
    assert results["float32"] != results["bfloat16"]
