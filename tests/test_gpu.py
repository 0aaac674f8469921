"""The GPU path: every method trains in every precision, repeats itself, agrees with the CPU and never waits."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from lgsf.data.batches import resident
from lgsf.data.batches.training import TrainingBatches
from lgsf.data.layout import open_dataset
from lgsf.data.text import Vocabulary
from lgsf.evaluation.evaluate import evaluate
from lgsf.metrics.ranking import MatrixScores, contiguous_folds, rank
from lgsf.models.base import DataSpec, Encoded, Method, Parameters, Progress
from lgsf.models.build import make_repeatable
from lgsf.models.graph import edge_scores
from lgsf.models.kernels import forms
from lgsf.models.kernels.gru import RaggedGRU
from lgsf.models.scoring import TiledScores
from lgsf.runs.ranks import read_ranks
from lgsf.runs.record import read_record, write_record
from lgsf.training.train import train
from tests.support.every_method import FORMS
from tests.support.properties import encode, ragged_batch

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
CUDA = torch.device("cuda")
LATE = Progress(step=999_999, total_steps=1_000_000, hardest=True)


WITHOUT_DROPOUT = {
    "embedding_dim": 16, "word_dim": 8, "graph": {"heads": 2, "ff": 8, "dropout": 0.0},
    "interaction": {"heads": 2, "ff": 8, "dropout": 0.0},
}  # fmt: skip


def on_gpu(config: Path) -> Path:
    config.write_text(json.dumps({**json.loads(config.read_text()), "device": "cuda"}))
    return config


@pytest.mark.parametrize("name", FORMS)
@pytest.mark.parametrize("precision", ["float32", "tf32", "bfloat16"])
def test_training_on_a_gpu_repeats_itself(tmp_path, tiny_dataset, tiny_config, name, precision) -> None:
    form = FORMS[name]
    config = on_gpu(tiny_config(model=form.model, parameters=form.parameters, precision=precision))
    for run in ("one", "two"):
        train(config=config, dataset=tiny_dataset, seed=0, out=tmp_path / run)
    weights = [(tmp_path / run / "model.safetensors").read_bytes() for run in ("one", "two")]
    assert weights[0] == weights[1]
    record = read_record(tmp_path / "one")
    assert record.peak_gpu_memory_mb is not None and record.peak_gpu_memory_mb > 0
    (gpu,) = record.device.gpus
    assert gpu.uuid == str(torch.cuda.get_device_properties(gpu.index).uuid)
    evaluate(run=tmp_path / "one", dataset=tiny_dataset, memory_mb=64)


def _gradients(name: str, device: torch.device) -> tuple[Tensor, dict[str, Tensor]]:
    method, batch = FORMS[name].build().to(device).train(), ragged_batch().to(device)
    loss, _ = method.loss(batch, *encode(method, batch), LATE)
    loss.backward()
    found = {name: p.grad.cpu() for name, p in method.named_parameters() if p.grad is not None}
    return loss.detach().cpu(), found


# Those that draw nothing: a GPU has other random numbers.
@pytest.mark.parametrize(
    "name", ["vsepp", "vse_inf", "scan_t2i_lse", "scan_i2t_mean", "sgr", "saf", "vsrn_coco", "hrem_hinge"]
)
def test_gradients_on_a_gpu_are_those_on_a_cpu(name: str) -> None:
    make_repeatable(CUDA, 1)
    loss, gradients = _gradients(name, torch.device("cpu"))
    there, found = _gradients(name, CUDA)
    torch.testing.assert_close(there, loss, atol=1e-4, rtol=1e-5)
    for parameter, gradient in gradients.items():
        torch.testing.assert_close(found[parameter], gradient, atol=1e-4, rtol=1e-3, msg=parameter)


def test_the_library_s_gru_is_ours() -> None:
    make_repeatable(CUDA, 1)
    torch.manual_seed(0)
    gru = RaggedGRU(input_dim=300, dim=256, bidirectional=True)
    mask = torch.arange(12) < torch.tensor([12, 7, 1, 9])[:, None]
    inputs = torch.randn(4, 12, 300)
    expected = gru(inputs, mask)
    torch.testing.assert_close(gru.to(CUDA)(inputs.to(CUDA), mask.to(CUDA)).cpu(), expected, atol=1e-5, rtol=1e-5)


def test_compiled_edge_scores_equal_the_loop_over_regions(monkeypatch) -> None:
    torch.manual_seed(0)
    given = [torch.randn(8, 36, 64, device=CUDA), torch.randn(8, 36, 64, device=CUDA), torch.randn(4, 16, device=CUDA)]
    results = []
    for fused in (True, False):
        monkeypatch.setattr(forms, "fusible", lambda x, fused=fused: fused)
        leaves = [x.clone().requires_grad_() for x in given]
        scores = edge_scores.edge_scores_v2(*leaves)
        scores.square().sum().backward()
        results.append([scores.detach(), *(x.grad for x in leaves)])
    for compiled, loop in zip(*results, strict=True):
        torch.testing.assert_close(compiled, loop, atol=1e-3, rtol=1e-4)


@pytest.mark.parametrize("name", FORMS)
def test_a_step_never_makes_the_host_wait(name: str) -> None:
    make_repeatable(CUDA, 1)
    method, here = FORMS[name].build().to(CUDA).train(), ragged_batch()
    optimizer = torch.optim.AdamW(method.parameters(), fused=True)
    for mode in ("default", "error"):  # the first step compiles, and makes what later ones find
        batch = here.to(CUDA)
        torch.cuda.set_sync_debug_mode(mode)
        try:
            loss, _ = method.loss(batch, *encode(method, batch), LATE)
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(method.parameters(), 2.0)
            optimizer.step()
        finally:
            torch.cuda.set_sync_debug_mode("default")


def test_gpu_and_cpu_rank_alike(tmp_path, tiny_dataset, tiny_config) -> None:
    train(config=tiny_config(), dataset=tiny_dataset, seed=0, out=tmp_path / "cpu")
    evaluate(run=tmp_path / "cpu", dataset=tiny_dataset, memory_mb=64)
    shutil.copytree(tmp_path / "cpu", tmp_path / "cuda")
    record = read_record(tmp_path / "cuda")
    write_record(tmp_path / "cuda", record.model_copy(update={"config": {**record.config, "device": "cuda"}}))
    evaluate(run=tmp_path / "cuda", dataset=tiny_dataset, memory_mb=64)
    cpu, gpu = (read_ranks(tmp_path / device, "test") for device in ("cpu", "cuda"))
    assert (cpu.t2i == gpu.t2i).mean() > 0.95


@pytest.mark.parametrize("stay", [True, False])
@pytest.mark.parametrize("workers", [1, 3])
def test_batches_reach_the_gpu_bit_for_bit(tiny_dataset: Path, monkeypatch, stay: bool, workers: int) -> None:
    """Those that are gathered there and those that are sent ahead, kept for a while on both ends."""
    split, vocabulary = open_dataset(tiny_dataset).split("train"), Vocabulary.load(tiny_dataset / "vocabulary.json")
    options = {"batch_size": 8, "seed": 0, "region_drop": 0.3, "word_drop": 0.3}
    read = [batch for epoch in range(3) for batch in TrainingBatches(split, vocabulary, **options).epoch(epoch)]
    if not stay:
        monkeypatch.setattr(resident, "SHARE", 0.0)
    made = TrainingBatches(split, vocabulary, **options, workers=workers, device=torch.device("cuda"))
    assert isinstance(made._images, resident.ResidentImages) == stay
    sent = [batch for epoch in range(3) for batch in made.epoch(epoch)]
    for one, other in zip(read, sent, strict=True):
        for name, value in vars(one).items():
            assert vars(other)[name].device.type == "cuda"
            assert torch.equal(vars(other)[name].cpu(), value), name


@pytest.mark.parametrize("memory_mb", [0, 64])
@pytest.mark.parametrize("levels", [0, 3])
def test_a_gpu_counts_its_own_scores_as_the_cpu_does(memory_mb: int, levels: int) -> None:
    """Ranks, lists and ties of the very scores that the GPU made; with few levels many of them are equal."""
    generator = torch.Generator().manual_seed(0)
    images, texts = (torch.randn(n, 16, generator=generator) for n in (500, 2500))
    if levels:
        images, texts = images.sign(), texts.sign()
    method = Method(Parameters(), DataSpec(region_dim=1, vocabulary_size=1)).cuda()
    scores = TiledScores(method, Encoded(vector=images.cuda()), Encoded(vector=texts.cuda()), memory_mb)
    matrix = np.concatenate([block for _, block in scores.blocks()])
    own, fold = np.arange(2500) // 5, contiguous_folds(500, 5)
    on_cpu, on_gpu = rank(MatrixScores(matrix), own, fold), rank(scores, own, fold)
    for name, value in vars(on_cpu).items():
        np.testing.assert_array_equal(vars(on_gpu)[name], value, err_msg=name)


@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="fewer than two CUDA devices")
@pytest.mark.parametrize("model", ["lgsf.models.lgsf:LGSF", "baselines.scan:SCAN", "baselines.vse_inf:VSEInfinity"])
def test_two_processes_on_two_gpus_train_as_one_does(tmp_path, tiny_dataset, tiny_config, model) -> None:
    """The first steps do, before rounding grows; and two of two repeat themselves."""
    config = on_gpu(tiny_config(model=model, parameters={"embedding_dim": 16, "word_dim": 8}, epochs=1))
    if model.startswith("lgsf"):
        config = on_gpu(tiny_config(model=model, parameters=WITHOUT_DROPOUT, epochs=1))
    train(config=config, dataset=tiny_dataset, seed=0, out=tmp_path / "alone")
    config.write_text(json.dumps({**json.loads(config.read_text()), "processes": 2}))
    for name in ("one", "two"):
        train(config=config, dataset=tiny_dataset, seed=0, out=tmp_path / name)
    weights = [(tmp_path / name / "model.safetensors").read_bytes() for name in ("one", "two")]
    assert weights[0] == weights[1]
    logs = [json.loads((tmp_path / name / "log.jsonl").read_text()) for name in ("alone", "one")]
    assert logs[1]["loss"] == pytest.approx(logs[0]["loss"], rel=1e-3)
    gpus = json.loads((tmp_path / "one" / "run.json").read_text())["device"]["gpus"]
    assert len({gpu["uuid"] for gpu in gpus}) == 2
