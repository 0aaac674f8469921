"""The factorial from configuration to report: the arms differ in their parts alone, effects are those of the ranks."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pandas as pd
import pytest

from lgsf.config.experiment import Experiment
from lgsf.evaluation.evaluate import evaluate
from lgsf.models.build import check_settings
from lgsf.models.lgsf import LGSFParameters
from lgsf.models.triangle import TriangleParameters
from lgsf.report.page import write_report
from lgsf.report.sections.results.factorial import factorial_part
from lgsf.system.settings import deep_merge
from lgsf.tables.collect import collect
from lgsf.tables.factorial import FACTORIAL_COLUMNS, factorial_runs, read_effects
from lgsf.tables.finished import Finished
from lgsf.tables.tests import SHOWN_COLUMNS
from lgsf.tables.write import write_tables
from lgsf.training.train import train
from tests.support import synthetic
from tests.support.shipped import shipped

pytestmark = pytest.mark.seconds

CONFIG = shipped("factorial")
assert CONFIG.factorial is not None
CELLS = CONFIG.factorial.cells
SMALL = {"embedding_dim": 16, "word_dim": 8, "graph": {"heads": 2, "ff": 16}, "interaction": {"heads": 2, "ff": 16}}


def experiment(**changes: Any) -> Experiment:
    """The experiment of config/factorial.yaml on the synthetic data."""
    assert CONFIG.factorial is not None
    raw = {
        "experiment": "factorial",
        "title": "Parts",
        "datasets": ["toy"],
        "methods": [{"name": name, "title": CONFIG.method(name).title} for name in CONFIG.run.methods],
        "seeds": list(CONFIG.run.seeds),
        "reference": "base",
        "factorial": CONFIG.factorial.model_dump(),
    }
    return Experiment.parse(json.dumps(raw | changes))


@pytest.fixture(autouse=True)
def _no_comparisons(monkeypatch: pytest.MonkeyPatch) -> None:
    """Comparisons of ten methods take seconds and are tested elsewhere."""
    monkeypatch.setattr("lgsf.tables.write.experiment_tests", lambda *_: pd.DataFrame(columns=list(SHOWN_COLUMNS)))


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs of every method: GAT is worth 0.2 of the share of first ranks, the triangle costs 0.05."""
    root = tmp_path_factory.mktemp("factorial")
    for row, name in enumerate(CONFIG.run.methods):
        parts = CELLS.get(name, ())
        for seed in CONFIG.run.seeds:
            quality = 0.4 + 0.2 * ("gat" in parts) - 0.05 * ("triangle" in parts) + 0.01 * seed
            synthetic.write_run(
                root / "toy" / name / f"seed{seed}",
                method=name, title=name, seed=seed, quality=quality, folds=1, row=row,
            )  # fmt: skip
    return root


def render(results: Path, out: Path, **changes: Any) -> tuple[str, str]:
    """The page and the Markdown of the experiment."""
    synthetic.write_tables_and_verdicts(experiment(**changes), results=results, out=out / "tables")
    page = write_report(experiment(**changes), results=results, tables=out / "tables", out=out / "report")
    return page.read_text(encoding="utf-8"), (out / "report/report.md").read_text(encoding="utf-8")


def without(results: Path, copy: Path, *gone: str) -> Path:
    """A copy of `results` without the folders `gone`."""
    shutil.copytree(results, copy)
    for name in gone:
        shutil.rmtree(copy / "toy" / name)
    return copy


def test_the_arms_differ_in_their_parts_and_in_nothing_else() -> None:
    """What a cell says is on is on; encoders, pooling and schedule are those of every other cell."""
    assert len(CELLS) == 8
    assert set(CELLS) <= set(CONFIG.run.methods)
    whole = LGSFParameters.model_validate(CONFIG.method("lgsf").parameters)
    for name, parts in CELLS.items():
        settings = CONFIG.method(name)
        options = LGSFParameters.model_validate(settings.parameters)
        assert ("gat" in parts) == (options.graph.kind != "none"), name
        assert ("interaction" in parts) == (options.interaction.kind == "attention"), name
        assert ("triangle" in parts) == (options.triangle.weight > 0), name
        switched_on = options.model_copy(
            update={
                "graph": options.graph.model_copy(update={"kind": whole.graph.kind}),
                "interaction": options.interaction.model_copy(update={"kind": whole.interaction.kind}),
                "triangle": options.triangle.model_copy(update={"weight": whole.triangle.weight}),
            }
        )
        assert switched_on == whole, name
        assert CONFIG.training_of(name) == CONFIG.training_of("lgsf"), name
        assert settings.title not in (None, *(CONFIG.method(other).title for other in CELLS if other != name))


def test_the_table_holds_the_contrasts_of_the_ranks(results: Path, tmp_path: Path) -> None:
    write_tables(experiment(), results=results, out=tmp_path)
    table = read_effects(tmp_path)
    assert tuple(table.columns) == FACTORIAL_COLUMNS
    assert len(table) == 7 * 3
    csv = pd.read_csv(tmp_path / "factorial.csv", keep_default_na=False)
    assert csv["estimate"].tolist() == pytest.approx(table["estimate"].tolist())
    assert csv["effect"].tolist() == table["effect"].tolist()
    mean: dict[str, float] = {}
    for name in CELLS:
        recalls = []
        for seed in CONFIG.run.seeds:
            with np.load(results / "toy" / name / f"seed{seed}" / "test/ranks.npz") as file:
                recalls.append(100 * (file["t2i"] == 0).mean())
        mean[name] = sum(recalls) / 3
    on = [mean[name] for name, parts in CELLS.items() if "gat" in parts]
    off = [mean[name] for name, parts in CELLS.items() if "gat" not in parts]
    row = table[(table["effect"] == "gat") & (table["metric"] == "t2i_r1")].iloc[0]
    assert row["estimate"] == pytest.approx(sum(on) / 4 - sum(off) / 4)
    assert row["finding"] == "raises"
    assert row["seeds"] == 3


def test_missing_cells_are_named_and_give_no_effects(results: Path, tmp_path: Path) -> None:
    fewer = without(results, tmp_path / "results", "only_triangle", "base")
    runs = collect(experiment(), Finished(fewer))
    table = factorial_runs(experiment(), runs, Finished(fewer))
    assert table[["estimate", "low", "high", "p", "p_corrected"]].isna().all(axis=None)
    assert set(table["note"]) == {"no finished run of only_triangle (triangle) and base (every part off)"}
    page, markdown = render(fewer, tmp_path)
    for text in (page, markdown.replace("\\", "")):
        assert "There are no effects: no finished run of only_triangle (triangle) and base (every part off)." in text
    assert not list((tmp_path / "report/figures").glob("*effects*"))


def test_too_few_seeds_give_effects_without_a_test(results: Path, tmp_path: Path) -> None:
    fewer = without(results, tmp_path / "results", "only_gat/seed1")
    runs = collect(experiment(), Finished(fewer))
    table = factorial_runs(experiment(), runs, Finished(fewer))
    assert table["estimate"].notna().all()
    assert table["p"].isna().all()
    assert CONFIG.factorial is not None
    part = factorial_part("toy-full", "toy", CONFIG.factorial, runs, table, {})
    assert part.untested == "needs 3 seeds of every cell, only_gat has 2"
    looked = part.cells.names.index("dev looks")
    assert {row[looked].text for row in part.cells.rows} == {f"{runs['dev_looks'].iloc[0]:g}"}
    assert part.effects is not None
    assert {cell.minor for row in part.effects.rows for cell in row} == {""}  # neither interval nor p
    dots = [shape for shape in part.plots[0].shapes if shape.css.startswith("seed")]
    assert len(dots) == 7 * 2  # seeds that every cell finished


def test_the_report_shows_the_effects(results: Path, tmp_path: Path) -> None:
    page, markdown = render(results, tmp_path)
    table = read_effects(tmp_path / "tables")
    row = table[(table["effect"] == "gat") & (table["metric"] == "i2t_r1")].iloc[0]
    shown = f"{row['estimate']:+.1f}"
    for text in (page, markdown):
        assert "What each part does" in text
        assert "GAT × interaction × triangle" in text
        assert re.search(re.escape(shown) + r"\s†", text)
    section = page[page.index("What each part does") :]
    assert page.count("What each part does") == 1
    assert section.count("<figure>") >= 3
    ids = re.findall(r' id="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    forests = sorted(path.name for path in (tmp_path / "report/figures").glob("*-effects-*.svg"))
    assert forests == [f"toy-full-effects-{metric}.svg" for metric in ("i2t_r1", "rsum", "t2i_r1")]
    dots = re.findall(r'class="seed', (tmp_path / "report/figures" / forests[0]).read_text())
    assert len(dots) == 7 * 3


def test_no_factorial_no_table(results: Path, tmp_path: Path) -> None:
    write_tables(experiment(factorial=None), results=results, out=tmp_path)
    assert (tmp_path / "runs.csv").is_file()
    assert not list(tmp_path.glob("factorial.*"))


def test_every_new_form_of_the_triangle_trains(tiny_dataset: Path, tmp_path: Path) -> None:
    """config/triangle.yaml, at a tiny size: from its settings to activity in the log and ranks of the test split."""
    config = shipped("triangle")
    chosen = {name: config.run_settings("scenes", name) for name in config.run.methods}
    forms = {settings.parameters["triangle"]["form"] for settings in chosen.values()}
    assert forms == set(get_args(TriangleParameters.model_fields["form"].annotation))
    logged = {
        "angle_soft": {"angular", "angular_active"},
        "angle_hinge": {"angular", "angular_active"},
        "lgsf": {"fullhn", "fullhn_images", "fullhn_captions", "fullhn_negatives"},
        "structure": {"structure", "structure_active", "structure_neighbours"},
        "intra_band": {"intra_band", "intra_band_active"},
    }
    for name, terms in logged.items():
        settings = chosen[name]
        small = {
            **settings.plain(),
            "parameters": deep_merge(settings.parameters, SMALL),
            "training": {**settings.plain()["training"], "batch_size": 16, "epochs": 1, "sum_steps": 3},
        }
        path, run = tmp_path / f"{name}.json", tmp_path / name
        path.write_text(json.dumps(check_settings(small, source="the test").plain()))
        train(config=path, dataset=tiny_dataset, seed=0, out=run)
        evaluate(run=run, dataset=tiny_dataset, memory_mb=16)
        epoch = json.loads((run / "log.jsonl").read_text().splitlines()[-1])
        assert epoch["terms"].keys() == terms | {"hinge", "positive_score", "hardest_score", "interaction_active"}
        assert (run / "test/ranks.npz").is_file()
        if name == "structure":  # one to four captions of 48 images: siblings do meet
            assert 0 < epoch["terms"]["structure_neighbours"] < 1
