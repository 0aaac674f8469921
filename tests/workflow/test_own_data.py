"""config/own.yaml: one's own table of captions and folder of features, prepared again when either changes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import yaml

from lgsf.data.layout import open_dataset
from tests.support.annotation_files import names, write_table
from tests.support.feature_files import regions
from tests.workflow.conftest import Outcome, Tree, copy_repository

SMALL = {
    "run": {"methods": ["lgsf", "vsepp"], "seeds": [0]},
    "training": {"batch_size": 4, "epochs": 1, "sum_steps": 0},
    "methods": {
        "lgsf": {"parameters": {"embedding_dim": 16, "word_dim": 8, "graph": {"heads": 1, "ff": 16},
                                "interaction": {"heads": 2, "ff": 16}}},
        "vsepp": {"parameters": {"embedding_dim": 16, "word_dim": 8}},
    },
}  # fmt: skip


@pytest.fixture
def own(repository: Path, tmp_path: Path) -> tuple[Tree, tuple[str, ...]]:
    """A copy of the repository, and the options for twelve images of one's own beside it."""
    features = tmp_path / "features"
    features.mkdir()
    for number in names():
        np.save(features / f"{number}.npy", regions(number))
    table = write_table(tmp_path / "captions.csv")
    places = {"annotations": {"path": str(table)}, "features": {"path": str(features)}, "min_count": 1}
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump({**SMALL, "datasets": {"own": places}}))
    tree = copy_repository(repository, tmp_path / "tree")
    return tree, ("--configfile", "config/own.yaml", str(tmp_path / "mine.yaml"))


def prepared(tree: Tree, options: tuple[str, ...]) -> Outcome:
    return tree.plan("resources/own/dataset.json", *options)


def test_a_changed_table_or_folder_is_prepared_again(own: tuple[Tree, tuple[str, ...]], tmp_path: Path) -> None:
    tree, options = own
    made = tree.snakemake("--cores", "1", "resources/own/dataset.json", *options)
    assert made.code == 0, made.text
    dataset = open_dataset(tree.root / "resources/own")
    assert [len(dataset.split(split).images) for split in ("train", "dev", "test")] == [6, 3, 3]
    assert prepared(tree, options).jobs["prepare"] == 0
    np.save(tmp_path / "features" / "7.npy", regions(7))
    with (tmp_path / "captions.csv").open("a") as table:
        table.write("shots/391895.png,a dog again,test\n")
    again = prepared(tree, ("--quiet", "host", *options))
    assert again.jobs["prepare"] == 1
    reason = next(line for line in again.text.splitlines() if "Updated input files" in line)
    assert {"captions.csv", "features"} <= {Path(word.strip(",;")).name for word in reason.split()}


@pytest.mark.slow
def test_one_command_runs_everything(own: tuple[Tree, tuple[str, ...]]) -> None:
    tree, options = own
    done = tree.snakemake("--cores", "2", *options)
    assert done.code == 0, done.text
    record = json.loads((tree.root / "results/own/lgsf/seed0/run.json").read_text())
    assert record["data"]["source"]["features"] == "own"
    assert (tree.root / "reports/own/index.html").is_file()
