"""Curves of trainings for other tools: every value of the log, once, and a clear word where TensorBoard is absent."""

from __future__ import annotations

import csv
import importlib.util
import shutil
import sys
from pathlib import Path

import pytest

from lgsf.cli import main
from lgsf.runs.log import read_log
from lgsf.sharing.curves import export_curves
from lgsf.system.errors import LgsfError

REFERENCE = "results/reference/runs/scenes"
HAS_TENSORBOARD = importlib.util.find_spec("tensorboard") is not None


@pytest.fixture
def runs(repository: Path) -> list[Path]:
    return [repository / REFERENCE / method / "seed1" for method in ("lgsf", "vsepp")]


def test_the_table_holds_every_value_of_the_log(runs: list[Path], tmp_path: Path, capsys) -> None:
    main(["export-curves", *map(str, runs), "--format", "csv", "--out", str(tmp_path)])
    assert capsys.readouterr().out.strip() == str(tmp_path / "curves.csv")
    rows = list(csv.DictReader((tmp_path / "curves.csv").open()))
    found = {(r["method"], int(r["epoch"]), r["name"]): float(r["value"]) for r in rows}
    assert len(found) == len(rows)
    for run in runs:
        for epoch in read_log(run):
            expected = {f"dev/{name}": value for name, value in epoch.dev.items()}
            expected |= {f"train/terms/{name}": value for name, value in epoch.terms.items()}
            expected |= {"train/loss": epoch.loss, "train/learning_rate": epoch.learning_rate}
            for name, value in expected.items():
                assert found[run.parent.name, epoch.epoch, name] == value
    first = next(row for row in rows if row["method"] == "lgsf")
    assert (first["dataset"], first["seed"], first["step"]) == ("scenes", "1", str(read_log(runs[0])[0].step))


@pytest.mark.skipif(not HAS_TENSORBOARD, reason="the extra tensorboard is not installed")
def test_tensorboard_reads_every_value(runs: list[Path], tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    for _ in range(2):  # the second time takes the place of the first: no curve is drawn twice
        files = export_curves(runs, form="tensorboard", out=tmp_path)
    assert sorted(tmp_path.rglob("*tfevents*")) == sorted(files)
    assert [file.parent.relative_to(tmp_path).as_posix() for file in files] == [
        "scenes/lgsf/seed1",
        "scenes/vsepp/seed1",
    ]
    for run, file in zip(runs, files, strict=True):
        events = EventAccumulator(str(file.parent))
        events.Reload()
        log = read_log(run)
        curve = events.Scalars("dev/rsum")
        assert [event.step for event in curve] == [epoch.step for epoch in log]
        assert [event.value for event in curve] == pytest.approx([epoch.dev["rsum"] for epoch in log])
        took = [event.wall_time - curve[0].wall_time for event in curve]
        assert took == pytest.approx([epoch.seconds - log[0].seconds for epoch in log], abs=1e-3)


def test_without_tensorboard_one_sentence_and_nothing_written(runs: list[Path], tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    for name in [name for name in sys.modules if name.startswith("torch.utils.tensorboard")]:
        monkeypatch.delitem(sys.modules, name)
    with pytest.raises(LgsfError, match=r"install the extra `tensorboard`, .* or write --format csv"):
        export_curves(runs, form="tensorboard", out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("form", ["csv", "tensorboard"])
def test_runs_without_a_log(runs: list[Path], tmp_path: Path, form: str) -> None:
    shutil.copytree(runs[0], tmp_path / "seed1")
    (tmp_path / "seed1/log.jsonl").unlink()
    with pytest.raises(LgsfError, match=r"log\.jsonl is missing|logged no epoch"):
        export_curves([tmp_path / "seed1"], form=form, out=tmp_path / "out")
    assert not (tmp_path / "out").exists()
