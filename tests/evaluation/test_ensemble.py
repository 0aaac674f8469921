"""An ensemble ranks by the mean of its members' scores, names them, and says of itself that it is one."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lgsf import load_run
from lgsf.cli import main
from lgsf.config.experiment import MethodEntry
from lgsf.data.batches.training import image_batches
from lgsf.data.layout import open_dataset
from lgsf.evaluation.ensemble import ensemble
from lgsf.metrics.ranking import rank
from lgsf.models.base import DataSpec, Encoded, Method, Parameters
from lgsf.models.scoring import MeanScores, TiledScores
from lgsf.report.sections.methods import method_cards
from lgsf.runs.facts import read_facts
from lgsf.runs.ranks import read_ranks
from lgsf.system.errors import LgsfError
from lgsf.system.files import write_json
from lgsf.system.hashes import sha256
from lgsf.training.train import train
from tests.conftest import write_config

pytestmark = pytest.mark.seconds


def as_scores(matrix: list[list[float]] | torch.Tensor, memory_mb: int = 1) -> TiledScores:
    """Embeddings whose dot products are this matrix: unit vectors for images, columns for captions."""
    values = torch.as_tensor(matrix, dtype=torch.float32)
    method = Method(Parameters(), DataSpec(region_dim=1, vocabulary_size=1))
    return TiledScores(method, Encoded(vector=torch.eye(len(values))), Encoded(vector=values.T.contiguous()), memory_mb)


def test_the_mean_gives_the_ranks_worked_out_by_hand() -> None:
    """Three images, one caption each. Either member has one image wrong; of the mean only caption 2 is wrong."""
    first = as_scores([[0.9, 0.1, 0.1], [0.8, 0.3, 0.2], [0.0, 0.1, 0.5]])
    second = as_scores([[0.2, 0.1, 0.6], [0.0, 0.9, 0.1], [0.1, 0.2, 0.2]])
    mean = MeanScores([first, second])  # .55 .10 .35 | .40 .60 .15 | .05 .15 .35
    caption_image, fold = np.arange(3), np.zeros(3, np.int32)
    alone = [rank(scores, caption_image, fold) for scores in (first, second)]
    assert [(r.i2t.tolist(), r.t2i.tolist()) for r in alone] == [([0, 1, 0], [0, 0, 0]), ([1, 0, 1], [0, 0, 1])]
    together = rank(mean, caption_image, fold)
    assert (together.i2t.tolist(), together.t2i.tolist()) == ([0, 0, 0], [0, 0, 1])  # .35 ties: against the model


def test_the_budget_changes_no_bit_and_members_keep_nothing() -> None:
    generator = torch.Generator().manual_seed(0)
    matrices = [torch.randn(300, 2100, generator=generator) for _ in range(3)]
    kept, recomputed = (MeanScores([as_scores(m, 512) for m in matrices], budget) for budget in (512, 1))
    turned = MeanScores([as_scores(m, 512) for m in matrices[::-1]], 512)
    walks = [np.concatenate([b for _, b in s.blocks()]) for s in (kept, kept, recomputed, recomputed, turned)]
    for walk in walks[1:]:
        assert (walk == walks[0]).all()
    assert len(kept._kept) == 3 and not recomputed._kept
    assert not any(member._kept for mean in (kept, recomputed) for member in mean.members)
    np.testing.assert_allclose(walks[0], sum(m.double().numpy() for m in matrices) / 3, atol=1e-6)


@pytest.fixture(scope="module")
def members(tiny_dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two trained runs of a cross-attention method and of one with vectors."""
    root = tmp_path_factory.mktemp("members")
    folders = []
    for seed, (model, parameters) in enumerate(
        (("baselines.scan:SCAN", {"direction": "t2i"}), ("baselines.vsepp:VSEPP", {"margin": 0.2}))
    ):
        sizes: dict[str, Any] = {"embedding_dim": 16, "word_dim": 8, **parameters}
        config = write_config(root / f"{seed}.json", model=model, parameters=sizes, epochs=2)
        folders.append(root / f"seed{seed}")
        train(config=config, dataset=tiny_dataset, seed=seed, out=folders[-1])
    return folders


@pytest.fixture(scope="module")
def averaged(members: list[Path], tiny_dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The ensemble of both, made by the verb."""
    out = tmp_path_factory.mktemp("ensemble") / "seed7"
    main(["ensemble", "--members", *map(str, members), "--dataset", str(tiny_dataset), "--name", "both",
          "--title", "Both", "--seed", "7", "--out", str(out), "--memory-mb", "16"])  # fmt: skip
    return out


def test_end_to_end_equals_a_plain_average(averaged: Path, members: list[Path], tiny_dataset: Path) -> None:
    """The whole matrix of each member from its public interface, one caption at a time, ranked by sorting."""
    split = open_dataset(tiny_dataset).split("test")
    matrices = []
    for member in members:
        run = load_run(member, tiny_dataset)
        images = Encoded.concatenate([run.encode_images(*batch) for batch in image_batches(split, 1)])
        texts = [run.encode_texts([text]) for text in split.captions["text"]]
        with torch.inference_mode():
            matrices.append(torch.cat([run.method.similarity(images, text) for text in texts], dim=1).double().numpy())
    mean = (matrices[0] + matrices[1]) / 2
    own = split.caption_image
    t2i = [int((np.delete(mean[:, c], own[c]) >= mean[own[c], c]).sum()) for c in range(len(own))]
    i2t = [int((row[own != i] >= row[own == i].max()).sum()) for i, row in enumerate(mean)]
    ranks = read_ranks(averaged)
    assert ranks.t2i.tolist() == t2i
    assert ranks.i2t.tolist() == i2t
    assert any((matrix.argmax(0) != mean.argmax(0)).any() for matrix in matrices)


def test_the_record_names_members_and_adds_up_their_costs(averaged: Path, members: list[Path]) -> None:
    facts, record = read_facts(averaged), json.loads((averaged / "run.json").read_text())
    parts = [read_facts(member) for member in members]
    assert (facts.kind, facts.method, facts.title, facts.seed) == ("ensemble", "both", "Both (ensemble)", 7)
    assert facts.inputs["ensemble"] == "yes"
    assert facts.text_encoder == "BiGRU + GRU"
    assert facts.parameters == sum(part.parameters or 0 for part in parts)
    assert facts.seconds == pytest.approx(sum(part.seconds or 0 for part in parts))
    assert facts.peak_memory_mb == max(part.peak_memory_mb or 0 for part in parts)
    assert facts.all_looks == sum(part.all_looks or 0 for part in parts) == 4
    assert record["combined_costs"]["seconds"] == "sum over members"
    assert facts.dev is not None and facts.dev["rsum"] == read_ranks(averaged, "dev").metrics()["full"]["rsum"]
    for folder, member in zip(members, record["members"], strict=True):
        assert member["weights_sha256"] == sha256(folder / "model.safetensors")
        assert member["run_sha256"] == sha256(folder / "run.json")


def test_its_card_says_what_was_averaged(averaged: Path) -> None:
    facts = read_facts(averaged)
    entry = MethodEntry(name=facts.method, title="Both (ensemble)", ensemble=True, members=("Tried", "Tried"))
    (card,) = method_cards([facts], [entry], subject="lgsf")
    assert card.title == "Both (ensemble)"
    assert (
        card.sentence
        == "The mean of the score matrices of 2 × Tried, trained one by one, each with a training seed of its own."
    )
    (card,) = method_cards([facts], [entry.model_copy(update={"members": ("SGR", "SAF")})], subject="lgsf")
    assert card.sentence == "The mean of the score matrices of SGR and SAF, trained one by one."


def test_mistakes_are_one_sentence(averaged: Path, members: list[Path], tiny_dataset: Path, tmp_path: Path) -> None:
    other = shutil.copytree(members[0], tmp_path / "other_data")
    record = json.loads((other / "run.json").read_text())
    write_json(other / "run.json", record | {"dataset_sha256": "0" * 64})
    control = shutil.copytree(averaged, tmp_path / "control")
    write_json(control / "run.json", record | {"kind": "control", "config": {}})
    for listed, sentence in (
        ([members[0]], "fewer than two"),
        ([members[0], members[1], members[0] / "../seed0"], "twice"),
        ([members[0], averaged], "itself an ensemble"),
        ([members[0], control], "'control' and has no weights"),
        ([members[0], other], "trained on another version"),
        ([members[0], tmp_path / "absent"], "run.json is missing: run the training command of this run again"),
    ):
        with pytest.raises(LgsfError, match=sentence) as caught:
            ensemble(
                members=listed, dataset=tiny_dataset, name="x", title="X", seed=0, out=tmp_path / "out", memory_mb=16
            )
        assert "\n" not in str(caught.value) and str(caught.value).endswith(".")
    assert not (tmp_path / "out").exists()


def test_an_ensemble_cannot_be_opened_as_a_model(averaged: Path, tiny_dataset: Path) -> None:
    with pytest.raises(LgsfError, match="'ensemble' and has no weights of its own"):
        load_run(averaged, tiny_dataset)
