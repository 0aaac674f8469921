"""A bit that turned over in an authors' checkpoint is found before anything is imported."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from lgsf.cli import main
from lgsf.pretrained.archive import check_archive
from lgsf.system.errors import LgsfError
from tests.support.released_files import make_files
from tests.support.world import flip


def test_whole_archives_and_other_files_pass(tmp_path: Path) -> None:
    torch.save({"x": torch.arange(1000.0)}, tmp_path / "new.pt")
    torch.save({"x": torch.arange(1000.0)}, tmp_path / "old.pt", _use_new_zipfile_serialization=False)
    (tmp_path / "text").write_text("no archive")
    with zipfile.ZipFile(tmp_path / "compressed.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("zeros", bytes(10_000_000))
    for name in ("new.pt", "old.pt", "text", "compressed.zip", "absent"):
        check_archive(tmp_path / name)


def test_every_bit_of_the_weights_counts(tmp_path: Path) -> None:
    path = tmp_path / "a.pt"
    torch.save({"x": torch.arange(5000.0)}, path)
    start = path.read_bytes().index(np.arange(5000, dtype="<f4").tobytes())
    for bit in np.random.default_rng(0).integers(8 * start, 8 * (start + 20_000), 50):
        flip(path, int(bit))
        with pytest.raises(LgsfError, match=r"a.pt is damaged: .* does not have its checksum; copy it again"):
            check_archive(path)
        flip(path, int(bit))
    check_archive(path)


def test_an_import_of_a_damaged_checkpoint_writes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = make_files(tmp_path, "vsepp_max")
    flip(files.checkpoint, 8 * (files.checkpoint.stat().st_size // 2))
    with pytest.raises(SystemExit) as stopped:
        main(files.arguments())
    assert stopped.value.code == 2 and "does not have its checksum" in capsys.readouterr().err
    assert not files.out.exists()
