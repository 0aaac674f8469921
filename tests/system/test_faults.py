"""What the operating system says becomes a sentence; what is a bug stays a traceback."""

from __future__ import annotations

import errno
import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from lgsf.system.errors import LgsfError
from lgsf.system.faults import USUAL, os_error, sentence
from lgsf.system.files import write_atomically
from lgsf.system.logs import LogFile, setup


@pytest.mark.parametrize("number", USUAL)
def test_every_usual_error_is_one_sentence(number: int) -> None:
    text = sentence(OSError(number, os.strerror(number), "some/file"))
    assert text is not None and text.startswith("some/file: ") and text.endswith(".") and "\n" not in text
    assert os.strerror(number) in text


def test_bugs_are_no_sentences() -> None:
    for error in (KeyError("x"), ValueError("x"), OSError("no number"), OSError(errno.EINVAL, "Invalid", "f")):
        assert sentence(error) is None
    assert "not enough memory" in str(sentence(MemoryError()))


def test_an_error_of_the_disk_is_found_behind_that_of_a_library() -> None:
    try:
        try:
            raise OSError(errno.ENOSPC, "full")
        except OSError:
            raise RuntimeError("unexpected pos 768 vs 662")  # noqa: B904
    except RuntimeError as error:
        found = os_error(error)
    assert found is not None and found.errno == errno.ENOSPC
    assert os_error(RuntimeError("alone")) is None


class Full:
    """A disk that is full after so many bytes."""

    def __init__(self, file: object, room: int) -> None:
        self.file, self.room = file, room

    def write(self, data: bytes) -> int:
        self.room -= len(data)
        if self.room < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return len(data)

    def flush(self) -> None:
        pass


@pytest.mark.parametrize("room", [0, 100, 1000, 5000])
def test_torch_on_a_full_disk_is_a_sentence(tmp_path: Path, room: int) -> None:
    (tmp_path / "state.pt").write_bytes(b"old")
    with pytest.raises(LgsfError, match=r"state.pt could not be written \(the disk is full: No space left on device\)"):
        write_atomically(tmp_path / "state.pt", lambda file: torch.save({"x": torch.zeros(9999)}, Full(file, room)))
    assert (tmp_path / "state.pt").read_bytes() == b"old" and len(list(tmp_path.iterdir())) == 1


def test_a_log_that_cannot_be_opened_is_a_sentence(tmp_path: Path) -> None:
    for log in (tmp_path, Path("/proc/self/lgsf/x.log")):
        with pytest.raises(LgsfError, match=r"--log .* cannot be written .*: name another file"):
            setup(log)
    done = subprocess.run(
        [sys.executable, "-m", "lgsf", "schema", "--out", str(tmp_path / "s.json"), "--log", str(tmp_path)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2 and "lgsf: error: --log" in done.stderr and "Traceback" not in done.stderr


def test_a_log_on_a_full_disk_says_so_once_and_the_work_goes_on(capsys: pytest.CaptureFixture[str]) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full on this system")
    handler = LogFile("/dev/full")
    for number in range(3):
        handler.emit(logging.LogRecord("x", logging.INFO, "", 0, "line %d", (number,), None))
    handler.stream = None  # type: ignore[assignment]
    err = capsys.readouterr().err
    assert err.count("cannot be written") == 1 and "Traceback" not in err
