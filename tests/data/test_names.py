"""Names and file names from data are data: they lead nowhere."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from lgsf.cli import main
from lgsf.data.layout import open_dataset
from lgsf.data.pictures import find_pictures
from lgsf.data.writer import DatasetWriter
from lgsf.system.errors import LgsfError
from lgsf.system.files import write_json
from lgsf.system.hashes import sha256


@pytest.fixture
def dataset(tmp_path: Path, tiny_dataset: Path) -> Path:
    shutil.copytree(tiny_dataset, tmp_path / "data/tiny")
    return tmp_path / "data/tiny"


def changed(dataset: Path, **changes: object) -> None:
    """The dataset with another manifest, sealed: who makes data of ill will can make seals as well."""
    manifest = json.loads((dataset / "dataset.json").read_text())
    manifest["splits"]["test"]["sha256"]["images.parquet"] = sha256(dataset / "test/images.parquet")
    write_json(dataset / "dataset.json", {**manifest, **changes})


@pytest.mark.parametrize("name", ["../../escaped", "/tmp/escaped", "a/b", "", None, "Tiny"])
def test_a_dataset_under_a_name_that_leads_away(
    tmp_path: Path, dataset: Path, capsys: pytest.CaptureFixture[str], name: object
) -> None:
    split = open_dataset(dataset).split("test")
    np.save(tmp_path / "scores.npy", np.eye(len(split.images), len(split.captions)))
    changed(dataset, name=name)
    before = set(tmp_path.rglob("*"))
    arguments = {"dataset": dataset, "split": "test", "name": "mine", "results": tmp_path / "results/deep"}
    with pytest.raises(SystemExit, match="2"):
        main(["import-scores", *(w for k, v in arguments.items() for w in (f"--{k}", str(v))),
              "--scores", str(tmp_path / "scores.npy")])  # fmt: skip
    said = capsys.readouterr().err
    assert "dataset.json: 'name': a name has only small letters" in said or "dataset.json: name: text is needed" in said
    assert set(tmp_path.rglob("*")) == before


def test_no_writer_takes_such_a_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(LgsfError, match="the name of a dataset: a name has only"):
        DatasetWriter(tmp_path, name="../x", source={}, protocol={})
    with pytest.raises(SystemExit, match="2"):
        main(["prepare", "--name", "../x", "--settings", '{"source": "scenes"}', "--out", str(tmp_path / "out")])
    assert "--name: a name has only small letters" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def with_pictures(dataset: Path, name: str) -> None:
    """The dataset as one of drawn pictures, of which the first has this file name."""
    table = pd.read_parquet(dataset / "test/images.parquet")
    table.loc[0, "file_name"] = name
    table.to_parquet(dataset / "test/images.parquet")
    changed(dataset, source={"kind": "scenes"})


@pytest.mark.parametrize("kind", ["absolute", "above", "link"])
def test_no_picture_of_the_machine_is_embedded(tmp_path: Path, dataset: Path, kind: str) -> None:
    secret = tmp_path / "secret.png"
    Image.new("RGB", (8, 8)).save(secret)
    if kind == "link":
        (dataset / "harmless.png").symlink_to(secret)
    names = {"absolute": str(secret), "above": "../../secret.png", "link": "harmless.png"}
    with_pictures(dataset, names[kind])
    data = open_dataset(dataset)
    with pytest.raises(LgsfError, match=r"leads out of its folder|is a link out of its dataset") as caught:
        find_pictures(data, data.split("test"), None)
    assert str(caught.value).endswith(".")


def test_pictures_inside_are_found(dataset: Path) -> None:
    Image.new("RGB", (8, 8)).save(dataset / "inside.png")
    with_pictures(dataset, "inside.png")
    data = open_dataset(dataset)
    assert find_pictures(data, data.split("test"), None) == {0: dataset / "inside.png"}


def test_words_without_a_home(repository: Path) -> None:
    """nltk looks for a home folder when it is imported; a user of a container may have none."""
    code = (
        "import os, pwd\n"
        "def nobody(_): raise KeyError('uid not found')\n"
        "pwd.getpwuid = nobody\n"
        "from lgsf.data.text import tokenize\n"
        "assert tokenize('A red dog.') == ['a', 'red', 'dog', '.']\n"
        "assert 'HOME' not in os.environ"
    )
    environment = {name: value for name, value in os.environ.items() if name != "HOME"}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=repository, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
