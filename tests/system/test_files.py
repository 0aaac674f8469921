"""A file is either whole or as it was."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lgsf.system.errors import LgsfError
from lgsf.system.files import map_array, read_arrays, read_json, write_arrays, write_atomically, write_json


def test_a_writer_that_fails_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    write_json(path, {"x": 1})

    def half(file) -> None:  # type: ignore[no-untyped-def]
        file.write(b'{"x"')
        raise RuntimeError("killed")

    with pytest.raises(RuntimeError, match="killed"):
        write_atomically(path, half)
    assert read_json(path, hint="h") == {"x": 1}
    assert [p.name for p in tmp_path.iterdir()] == ["a.json"]


def test_a_place_that_cannot_be_written_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(LgsfError, match=r"file/x could not be written .*untouched"):
        write_json(tmp_path / "file" / "x", {})


def test_equal_arrays_give_equal_bytes(tmp_path: Path) -> None:
    arrays = {"a": np.arange(5), "names": np.array(["x", "数"])}
    for name in ("one", "two"):
        write_arrays(tmp_path / f"{name}.npz", arrays)
    assert (tmp_path / "one.npz").read_bytes() == (tmp_path / "two.npz").read_bytes()
    assert read_arrays(tmp_path / "one.npz", hint="h")["names"].tolist() == ["x", "数"]


def test_objects_are_refused(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="Python objects"):
        write_arrays(tmp_path / "a.npz", {"a": np.array([{}])})
    np.savez(tmp_path / "b.npz", a=np.array([{}]))
    with pytest.raises(LgsfError, match=r"b.npz is not a readable"):
        read_arrays(tmp_path / "b.npz", hint="h")


@pytest.mark.parametrize(("content", "sentence"), [(None, "is missing: make it"), (b"{", "is not valid JSON")])
def test_missing_and_broken_files(tmp_path: Path, content: bytes | None, sentence: str) -> None:
    if content is not None:
        (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(LgsfError, match=sentence):
        read_json(tmp_path / "a.json", hint="make it")


def test_every_bit_of_an_arrays_header_may_be_wrong(tmp_path: Path) -> None:
    path = tmp_path / "scores.npy"
    np.save(path, np.arange(12.0, dtype=np.float32).reshape(3, 4))
    good, said = path.read_bytes(), list[str]()
    for bit in range(8 * 128):
        path.write_bytes(good[: bit // 8] + bytes([good[bit // 8] ^ 1 << bit % 8]) + good[bit // 8 + 1 :])
        try:
            assert isinstance(map_array(path, hint="save it again"), np.ndarray)
        except LgsfError as error:
            said.append(str(error))
    assert len(said) > 400
    assert all(s.startswith(f"{path} is not a readable .npy array (") and s.endswith(": save it again.") for s in said)
    with pytest.raises(LgsfError, match=r"gone.npy is missing: check its name\."):
        map_array(tmp_path / "gone.npy", hint="")
