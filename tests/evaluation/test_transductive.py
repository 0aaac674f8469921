"""The transductive diagnostic: batches as announced, nothing lost, and no way into the comparison."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor, nn

from lgsf.cli import main
from lgsf.config.experiment import Experiment
from lgsf.config.names import EVAL_INTERACTION
from lgsf.data.layout import open_dataset
from lgsf.evaluation.evaluate import evaluate
from lgsf.evaluation.transductive import batches, diagnose, enhance, learned_steps
from lgsf.metrics.ranking import MatrixScores, rank
from lgsf.metrics.recall import metrics
from lgsf.models.interaction import InteractionParameters, SampleInteraction
from lgsf.models.lgsf import LGSF
from lgsf.report.page import write_report
from lgsf.report.transductive import write_transductive
from lgsf.runs.facts import read_facts
from lgsf.runs.opened import open_run
from lgsf.runs.ranks import read_ranks
from lgsf.runs.record import RunRecord
from lgsf.system.errors import LgsfError
from lgsf.system.files import write_json
from lgsf.tables.collect import collect
from lgsf.tables.finished import Finished
from lgsf.training.train import train
from tests.conftest import write_config
from tests.support.synthetic import write_tables_and_verdicts

BATCHED = EVAL_INTERACTION[1:]
CAPTION_IMAGE = np.array([0, 0, 1, 2, 2, 2])
SMALL: dict[str, Any] = {
    "embedding_dim": 16,
    "word_dim": 8,
    "graph": {"kind": "none"},
    "interaction": {"heads": 2, "ff": 16, "start": 0.25},
}


def rows(mode: str, caption_image: np.ndarray = CAPTION_IMAGE, *, seed: int = 0) -> list[list[int]]:
    return [batch.tolist() for batch in batches(mode, caption_image, size=2, seed=seed)]


def test_batches_worked_out_by_hand() -> None:
    assert rows("file") == [[0, 1], [2, 3], [4, 5]]
    assert rows("one_per_image") == [[0, 2], [3], [1, 4], [5]]
    assert rows("one_per_image", np.array([1, 0, 1, 0])) == [[0, 1], [2, 3]]
    shuffled = rows("shuffled")
    assert sorted(row for batch in shuffled for row in batch) == list(range(6)) and [
        len(batch) for batch in shuffled
    ] == [2, 2, 2]
    assert shuffled == rows("shuffled") and any(shuffled != rows("shuffled", seed=seed) for seed in range(1, 4))


def test_the_enhanced_samples_worked_out_by_hand() -> None:
    """Every sample becomes the sum of its batch; an image is read where its first caption stands."""

    def total(x: Tensor) -> Tensor:
        return x.sum(dim=1, keepdim=True).expand_as(x)

    images, texts = torch.tensor([[1.0], [10.0], [100.0]]), torch.arange(1.0, 7.0)[:, None]
    expected = {
        "file": ([2.0, 110.0, 110.0], [3.0, 3.0, 7.0, 7.0, 11.0, 11.0]),
        "one_per_image": ([11.0, 11.0, 100.0], [4.0, 7.0, 4.0, 4.0, 7.0, 6.0]),
    }
    for mode, (v, u) in expected.items():
        heard = enhance(total, images, texts, CAPTION_IMAGE, batches(mode, CAPTION_IMAGE, size=2, seed=0))
        assert [part[:, 0].tolist() for part in heard] == [v, u], mode


@pytest.mark.parametrize("mode", BATCHED)
def test_an_interaction_that_does_nothing_changes_nothing(mode: str) -> None:
    generator = torch.Generator().manual_seed(0)
    images, texts = torch.randn(3, 4, generator=generator), torch.randn(6, 4, generator=generator)
    mixed = np.array([2, 0, 1, 0, 2, 2])  # captions of one image need not stand together
    heard = enhance(nn.Identity(), images, texts, mixed, batches(mode, mixed, size=4, seed=3))
    assert torch.equal(heard[0], images) and torch.equal(heard[1], texts)


def test_only_a_layer_that_hears_others_depends_on_the_batch() -> None:
    torch.manual_seed(0)
    images, texts = (nn.functional.normalize(torch.randn(n, 8)) for n in (20, 60))
    caption_image = np.repeat(np.arange(20), 3)
    for kind, alike in (("identity", True), ("attention", False)):
        layer = SampleInteraction(InteractionParameters(kind=kind, heads=2, ff=8), dim=8).eval()  # type: ignore[arg-type]
        found = [
            torch.cat(enhance(layer, images, texts, caption_image, batches(m, caption_image, size=16, seed=0)))
            for m in BATCHED
        ]
        assert all(torch.allclose(one, found[0], atol=1e-5) for one in found[1:]) == alike, kind


def test_steps_that_the_interaction_took_part_in() -> None:
    record = RunRecord.model_construct(best_epoch=2, steps_per_epoch=5, steps=20)
    assert learned_steps(record, 0.3) == 4  # steps 6 to 9 of 0 to 9
    assert learned_steps(record.model_copy(update={"best_epoch": 1}), 0.3) == 0
    assert learned_steps(record.model_copy(update={"steps": None}), 0.3) is None


@pytest.fixture(scope="module")
def results(tiny_dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One trained, ranked and diagnosed run of LGSF; the diagnosis comes from the verb."""
    root = tmp_path_factory.mktemp("results")
    run = root / "tiny/tried/seed3"
    config = write_config(root / "config.json", model="lgsf.models.lgsf:LGSF", parameters=SMALL, epochs=3)
    train(config=config, dataset=tiny_dataset, seed=3, out=run)
    evaluate(run=run, dataset=tiny_dataset, memory_mb=16)
    main(["diagnose-interaction", "--run", str(run), "--dataset", str(tiny_dataset),
          "--out", str(run / "transductive"), "--batch-size", "8"])  # fmt: skip
    return root


def test_off_is_the_result_of_the_run(results: Path) -> None:
    run = results / "tiny/tried/seed3"
    with np.load(run / "test/ranks.npz") as ranked, np.load(run / "transductive/off/ranks.npz") as off:
        assert all((ranked[name] == off[name]).all() for name in ranked if name not in ("protocol", "made_from"))
    record = json.loads((run / "transductive/diagnosis.json").read_text())
    assert record["modes"]["off"] == read_ranks(run).metrics()
    assert record["batch_size"] == 8 and record["interaction_steps"] > 0


def test_file_order_equals_a_slow_version(results: Path, tiny_dataset: Path) -> None:
    """Batch by batch in plain words, from the weights; on this data it also differs from off."""
    run = results / "tiny/tried/seed3"
    opened = open_run(run, tiny_dataset, training_only=True)
    assert isinstance(opened.method, LGSF) and opened.method.interaction is not None
    split = open_dataset(tiny_dataset).split("test")
    v, u = (side.vector for side in opened.encode(split))
    assert v is not None and u is not None
    own, images, texts = split.caption_image, {}, []
    with torch.inference_mode():
        for first in range(0, len(own), 8):
            captions = range(first, min(first + 8, len(own)))
            heard_v = opened.method.interaction(torch.stack([v[own[c]] for c in captions])[None])[0]
            heard_u = opened.method.interaction(torch.stack([u[c] for c in captions])[None])[0]
            for place, caption in enumerate(captions):
                images.setdefault(int(own[caption]), heard_v[place])
                texts.append(heard_u[place])
    scores = (torch.stack([images[i] for i in range(len(v))]) @ torch.stack(texts).T).numpy()
    ranking = rank(MatrixScores(scores), own, np.zeros(len(v), np.int32))
    record = json.loads((run / "transductive/diagnosis.json").read_text())
    assert record["modes"]["file"]["full"] == pytest.approx(metrics(ranking.i2t, ranking.t2i))
    assert len({json.dumps(mode["full"]) for mode in record["modes"].values()}) > 1


def test_the_comparison_refuses_what_the_diagnostic_wrote(results: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(results, tmp_path / "copy")
    run = copy / "tiny/tried/seed3"
    assert len(collect(experiment(), Finished(copy))) == 2  # two protocols; the folder beside the ranks does no harm
    for mode in EVAL_INTERACTION:
        shutil.copy(run / f"transductive/{mode}/ranks.npz", run / "test/ranks.npz")
        with pytest.raises(LgsfError, match=r"ranks of the transductive diagnostic.* in no comparison.*transductive'"):
            collect(experiment(), Finished(copy))
    shutil.copy(run / "transductive/diagnosis.json", run / "run.json")
    with pytest.raises(LgsfError, match="record of the transductive diagnostic"):
        read_facts(run)


def test_a_run_without_interaction_is_refused(tiny_dataset: Path, tiny_config, tmp_path: Path) -> None:
    train(config=tiny_config(epochs=1), dataset=tiny_dataset, seed=0, out=tmp_path / "run")
    with pytest.raises(LgsfError, match=r"no interaction between samples.*name a run of LGSF"):
        diagnose(run=tmp_path / "run", dataset=tiny_dataset, out=tmp_path / "out", batch_size=None, memory_mb=16)
    assert not (tmp_path / "out").exists()


def experiment() -> Experiment:
    methods = [{"name": "tried", "title": "Tried"}]
    return Experiment.parse(
        json.dumps({"experiment": "x", "datasets": ["tiny"], "methods": methods, "seeds": [3], "reference": "tried"})
    )


def test_page_and_section_carry_the_stamp_and_the_differences(results: Path, tmp_path: Path) -> None:
    run, out = results / "tiny/tried/seed3", tmp_path / "out"
    raw = experiment().model_dump_json()
    main(["transductive-report", "--experiment", raw, "--results", str(results), "--out", str(out)])
    table = pd.read_csv(out / "runs.csv").set_index(["protocol", "eval_interaction"])
    modes = json.loads((run / "transductive/diagnosis.json").read_text())["modes"]
    for (protocol, mode), row in table.iterrows():
        assert row["rsum"] == pytest.approx(modes[mode][protocol]["rsum"])
        assert row["delta_rsum"] == pytest.approx(modes[mode][protocol]["rsum"] - modes["off"][protocol]["rsum"])
    assert set(table.index) == {(p, mode) for p in ("full", "folds") for mode in EVAL_INTERACTION}
    assert table.loc["full"].index.tolist() == list(EVAL_INTERACTION)
    write_tables_and_verdicts(experiment(), results=results, out=tmp_path / "tables")
    write_report(experiment(), results=results, tables=tmp_path / "tables", out=tmp_path / "report")
    for page in (out / "index.html", tmp_path / "report/index.html", tmp_path / "report/report.md"):
        text = page.read_text(encoding="utf-8")
        assert text.index("Transductive: not comparable.") < text.index("one caption per image")
    for name in ("summary.md", "summary.csv", "runs.csv"):
        assert "ransductive" not in (tmp_path / "tables" / name).read_text()
    copy = shutil.copytree(results, tmp_path / "retrained")
    record = copy / "tiny/tried/seed3/run.json"
    write_json(record, json.loads(record.read_text()) | {"seconds": 1.0})  # as after another training
    with pytest.raises(LgsfError, match=r"no run under .* has a transductive diagnosis"):
        write_transductive(experiment(), results=copy, out=tmp_path)
    write_tables_and_verdicts(experiment(), results=copy, out=tmp_path / "again")
    write_report(experiment(), results=copy, tables=tmp_path / "again", out=tmp_path / "report")
    assert "ransductive" not in (tmp_path / "report/report.md").read_text(encoding="utf-8")
