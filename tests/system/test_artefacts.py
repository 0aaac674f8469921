"""Sealed files, inputs that are remembered, and what killed writers leave."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from lgsf.system.artefacts import inputs
from lgsf.system.artefacts.atomic import clear_killed, write_atomically
from lgsf.system.artefacts.inputs import Inputs, Verified
from lgsf.system.artefacts.parquet import read_table, write_table
from lgsf.system.artefacts.seal import BrokenSealError, check_sealed, seal_archive
from lgsf.system.errors import LgsfError
from lgsf.system.files import read_arrays, read_json, write_arrays, write_json
from lgsf.system.hashes import sha256
from tests.support.world import flip

JSON = {"a": [1, 2.5, None], "text": 'quotes " and lgsf-sha256:' + "0" * 64, "z": {}}


def dead_process() -> int:
    """The number of a process that has ended."""
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    return child.pid


def write_each(folder: Path) -> dict[Path, Callable[[Path], object]]:
    """One file of every sealed kind, and how to read it."""
    write_json(folder / "a.json", JSON)
    write_arrays(folder / "a.npz", {"x": np.arange(300), "name": np.array(["é", "狗"])})
    write_table(folder / "a.parquet", pd.DataFrame({"x": [1.5, None], "s": ["a", "b"]}), {"runs": "1"})
    return {
        folder / "a.json": lambda path: read_json(path, hint="h"),
        folder / "a.npz": lambda path: {k: v.tolist() for k, v in read_arrays(path, hint="h").items()},
        folder / "a.parquet": lambda path: read_table(path, hint="h").frame.to_json(),
    }


def test_what_is_written_is_read(tmp_path: Path) -> None:
    write_each(tmp_path)
    assert read_json(tmp_path / "a.json", hint="h") == JSON
    assert read_table(tmp_path / "a.parquet", hint="h").made_from == {"runs": "1"}
    with np.load(tmp_path / "a.npz") as arrays, zipfile.ZipFile(tmp_path / "a.npz") as archive:
        assert arrays["x"].sum() == 299 * 150 and archive.testzip() is None
    for empty in ({}, [], 3):
        write_json(tmp_path / "b.json", empty)
        assert read_json(tmp_path / "b.json", hint="h") == empty
    write_json(tmp_path / "c.json", {**JSON, "lgsf_seal": "of an earlier version"})
    assert (tmp_path / "c.json").read_bytes() == (tmp_path / "a.json").read_bytes()


def test_every_bit_counts(tmp_path: Path) -> None:
    """One bit anywhere in a file: the same value, or one sentence."""
    for path, read in write_each(tmp_path).items():
        good, value, said = path.read_bytes(), read(path), []
        for bit in np.random.default_rng(0).integers(0, 8 * len(good), 250):
            flip(path, int(bit))
            try:
                assert read(path) == value
            except LgsfError as error:
                said.append(str(error))
            path.write_bytes(good)
        assert len(said) > 0.9 * 250
        assert all(text.startswith(str(path)) and text.endswith(": h.") for text in said)


def test_a_file_without_a_seal_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"x": 1}')
    np.savez(tmp_path / "a.npz", x=np.arange(3))
    pd.DataFrame({"x": [1]}).to_parquet(tmp_path / "a.parquet")
    assert read_json(tmp_path / "a.json", hint="h") == {"x": 1}
    assert read_arrays(tmp_path / "a.npz", hint="h")["x"].tolist() == [0, 1, 2]
    assert read_table(tmp_path / "a.parquet", hint="h").seal is None


def test_an_archive_of_any_size_is_sealed_and_still_opens(tmp_path: Path) -> None:
    path = tmp_path / "state.pt"
    with path.open("w+b") as file:
        torch.save({"x": torch.arange(700_000)}, file)
        seal_archive(file)
    with path.open("rb") as file:
        check_sealed(file)
    assert torch.load(path, weights_only=True)["x"].sum() == 700_000 * 699_999 // 2
    for bit in (5, 8 * 1000 + 3, 8 * (path.stat().st_size - 1), 8 * (path.stat().st_size - 80)):
        flip(path, bit)
        with path.open("rb") as file, pytest.raises(BrokenSealError):
            check_sealed(file)
        flip(path, bit)
    with pytest.raises(BrokenSealError, match="cut off"):
        check_sealed(io.BytesIO(b"PK"))


def test_inputs_are_refused_when_their_content_changes_and_only_then(tmp_path: Path) -> None:
    path, opened = tmp_path / "a", Inputs()
    path.write_bytes(b"one")
    assert opened.add(path) == sha256(path)
    opened.check()
    os.utime(path, ns=(1, 1))
    (tmp_path / "b").write_bytes(b"one")
    (tmp_path / "b").replace(path)  # another file of equal content
    opened.check()
    path.write_bytes(b"two")
    os.utime(path, ns=(1, 1))
    with pytest.raises(LgsfError, match=r"a was changed while this was made from it: nothing was published"):
        opened.check()
    path.unlink()
    with pytest.raises(LgsfError, match="was changed"):
        opened.check()
    with pytest.raises(LgsfError, match=r"a is missing: check its name\."):
        opened.add(path)


def test_large_files_are_read_once_and_again_after_any_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    monkeypatch.setattr(inputs, "SMALL", 100)
    monkeypatch.setattr(inputs, "sha256", lambda path: read.append(path.name) or sha256(path))
    large, small = tmp_path / "large", tmp_path / "small"
    large.write_bytes(bytes(1000))
    small.write_bytes(b"x")
    digests = {path: sha256(path) for path in (large, small)}
    for _ in range(3):
        assert all(Verified(tmp_path).holds(path, digest) for path, digest in digests.items())
    assert read == ["large", "small", "small", "small"]
    assert Verified(tmp_path).holds(large, digests[large], always=True) and read[-1] == "large"
    times = large.stat()
    flip(large, 80)
    os.utime(large, ns=(times.st_atime_ns, times.st_mtime_ns))  # the change of the inode's own time remains
    assert not Verified(tmp_path).holds(large, digests[large])
    flip(large, 80)
    (tmp_path / inputs.MEMORY).write_text("{")
    assert Verified(tmp_path).holds(large, digests[large])


def test_what_killed_writers_left_is_cleared_and_nothing_else(tmp_path: Path) -> None:
    write_json(tmp_path / "seen.json", {})
    with pytest.raises(ZeroDivisionError):
        write_atomically(tmp_path / "a.json", lambda file: 1 / 0)
    host = next(part for part in _temporary_name(tmp_path).split(".")[3:4])
    kept = [f".a.json.{host}.{os.getppid()}.tmp", f".a.json.elsewhere.{dead_process()}.tmp", ".notes.tmp", "b.tmp"]
    for name in (*kept, f".a.json.{host}.{dead_process()}.tmp", f".b.npz.{host}.{dead_process()}.tmp"):
        (tmp_path / name).write_bytes(b"half")
    write_json(tmp_path / "a.json", {})
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([*kept, "a.json", "seen.json"])
    clear_killed(tmp_path)
    assert (tmp_path / kept[0]).exists()


def _temporary_name(folder: Path) -> str:
    names: list[str] = []
    write_atomically(folder / "seen.json", lambda file: names.append(Path(file.name).name))
    return names[0]
