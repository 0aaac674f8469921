"""One process per run, whatever happens to the folder."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from lgsf.system.errors import LgsfError
from lgsf.system.locks import run_lock


def test_the_lock_does_not_go_with_the_folder(tmp_path: Path) -> None:
    run = tmp_path / "method" / "seed0"
    with run_lock(run) as held:
        held.check()
        shutil.rmtree(run)
        run.mkdir()
        with pytest.raises(LgsfError, match="is being trained by process"), run_lock(run):
            pass
        with pytest.raises(LgsfError, match="was deleted or replaced while it was being made"):
            held.check()
    with run_lock(run) as again:
        again.check()


def test_whoever_lost_lock_and_folder_does_not_publish(tmp_path: Path) -> None:
    run = tmp_path / "method" / "seed0"
    with run_lock(run) as first:
        shutil.rmtree(run.parent)
        with run_lock(run) as second:  # nothing on the disk says that there is a first one
            second.check()
            with pytest.raises(LgsfError, match="was deleted or replaced"):
                first.check()


def test_the_lock_is_one_however_the_run_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = tmp_path / "method" / "seed0"
    monkeypatch.chdir(tmp_path)
    (tmp_path / "link").symlink_to(tmp_path / "method")
    with run_lock(run):
        for name in (Path("method/seed0"), tmp_path / "link" / "seed0"):
            with pytest.raises(LgsfError, match="is being trained by"), run_lock(name):
                pass


def test_a_place_that_cannot_be_locked_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for run in (tmp_path / "file" / "seed0", Path("/proc/self/lgsf/seed0")):
        with pytest.raises(LgsfError, match="could not be made or locked"), run_lock(run):
            pass
