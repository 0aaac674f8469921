"""A run is tied to the data it was trained on, to its folder and to its own state, whatever happens meanwhile."""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from lgsf.system.errors import LgsfError
from lgsf.system.interrupts import Interrupts
from lgsf.training.resume import ResumeState
from lgsf.training.train import train
from tests.conftest import write_tiny_dataset
from tests.support.world import flip

pytestmark = pytest.mark.seconds


class Meanwhile(Interrupts):
    """Something happens while a run trains: at the end of its first epoch or so."""

    def __init__(self, what: Callable[[], object]) -> None:
        super().__init__()
        self.left, self.what = 8, what

    def check(self) -> None:
        self.left -= 1
        if self.left == 0:
            self.what()


@pytest.fixture
def data(tmp_path: Path) -> Path:
    write_tiny_dataset(tmp_path / "tiny")
    return tmp_path / "tiny"


def touch(path: Path) -> None:
    os.utime(path)


def test_data_prepared_again_while_a_run_trains_are_not_published_under(tmp_path, data, tiny_config) -> None:
    config, out = tiny_config(epochs=2), tmp_path / "run"
    again = Meanwhile(lambda: write_tiny_dataset(data, seed=5))
    with pytest.raises(LgsfError, match=r"dataset.json was changed while this was made from it: nothing was published"):
        train(config=config, dataset=data, seed=0, out=out, interrupts=again)
    assert again.left <= 0 and not (out / "run.json").exists() and not list(out.glob("*.safetensors"))
    train(config=config, dataset=data, seed=0, out=out)  # the state belongs to other data, and is not resumed


@pytest.mark.parametrize("file", ["train/regions.npy", "dev/captions.parquet", "vocabulary.json"])
def test_one_file_changed_in_place_is_noticed(tmp_path, data, tiny_config, file: str) -> None:
    with pytest.raises(
        LgsfError, match=f"{file} (was changed while this was made from it|ended early, it changed while it was read)"
    ):
        train(config=tiny_config(epochs=2), dataset=data, seed=0, out=tmp_path / "run",
              interrupts=Meanwhile(lambda: flip(data / file, 8 * 90)))  # fmt: skip
    assert not (tmp_path / "run" / "run.json").exists()


def test_a_changed_config_is_noticed_and_the_finished_epochs_are_kept(tmp_path, data, tiny_config) -> None:
    config, out = tiny_config(epochs=2), tmp_path / "run"
    before = config.read_text()
    with pytest.raises(LgsfError, match=r"config.json was changed"):
        train(config=config, dataset=data, seed=0, out=out, interrupts=Meanwhile(lambda: config.write_text("{}")))
    config.write_text(before)
    train(config=config, dataset=data, seed=0, out=out)  # nothing is left to train
    assert '"resumed": 1' in (out / "run.json").read_text()


def test_what_was_only_touched_or_copied_over_is_no_change(tmp_path, data, tiny_config) -> None:
    def same_again() -> None:
        touch(data / "train/regions.npy")
        shutil.copy(data / "dev/images.parquet", tmp_path / "copy")
        (tmp_path / "copy").replace(data / "dev/images.parquet")

    train(config=tiny_config(epochs=2), dataset=data, seed=0, out=tmp_path / "run", interrupts=Meanwhile(same_again))
    assert (tmp_path / "run" / "run.json").is_file()


def test_a_folder_deleted_and_made_again_is_not_published_into(tmp_path, data, tiny_config) -> None:
    out = tmp_path / "run"

    def again() -> None:
        shutil.rmtree(out)
        out.mkdir()

    with pytest.raises(LgsfError, match="run was deleted or replaced while it was being made"):
        train(config=tiny_config(epochs=2), dataset=data, seed=0, out=out, interrupts=Meanwhile(again))
    assert list(out.iterdir()) == []


def test_a_flipped_bit_in_the_resume_state_means_a_fresh_start(tmp_path, data, tiny_config, caplog) -> None:
    """It went on with other weights before."""

    def stop() -> None:
        raise KeyboardInterrupt

    config, out = tiny_config(epochs=3), tmp_path / "run"
    train(config=config, dataset=data, seed=0, out=tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        train(config=config, dataset=data, seed=0, out=out, interrupts=Meanwhile(stop))
    state = out / ".resume" / "state.pt"
    flip(state, 8 * (state.stat().st_size // 2))
    with caplog.at_level(logging.WARNING):
        train(config=config, dataset=data, seed=0, out=out)
    assert "changed or damaged since it was written): this run starts from the beginning" in caplog.text
    assert (out / "model.safetensors").read_bytes() == (tmp_path / "whole" / "model.safetensors").read_bytes()


def test_a_state_without_a_seal_is_not_trusted(tmp_path, caplog) -> None:
    import torch

    state = ResumeState(tmp_path, "k")
    state.folder.mkdir()
    torch.save({"key": "k", "x": 1}, state.path)
    assert state.load() is None
    assert "starts from the beginning" in caplog.text
