"""Processes of one machine share out its GPUs, which are made up here, by locks; a run says which one it had."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from lgsf.models import device as devices
from lgsf.models.device import give_back, own_device
from lgsf.runs.provenance import provenance
from lgsf.runs.record import Device
from lgsf.system.errors import LgsfError
from lgsf.system.locks import claim
from lgsf.tables.collect import device_words

HOLD = "import sys; from pathlib import Path; from lgsf.system.locks import claim; "
HOLD += "got = claim(sys.argv[2:], folder=Path(sys.argv[1])); print(got and got[0], flush=True); sys.stdin.read()"


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[int]:
    """Two GPUs, and a list that holds what torch was told to compute on."""
    chosen: list[int] = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "set_device", lambda device: chosen.append(device.index))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "Made Up 9000")
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda index: SimpleNamespace(uuid=f"u-{index}"))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(devices, "_mine", [])
    return chosen


def holder(folder: Path, names: list[str]) -> tuple[subprocess.Popen[str], str]:
    """A process that claims one of `names` and keeps it; and what it got."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder), *names], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    return process, process.stdout.readline().strip()


def test_each_process_has_another_one_and_a_dead_one_has_none(tmp_path: Path) -> None:
    names = ["a", "b", "c"]
    first, second, third, fourth = (holder(tmp_path, names) for _ in range(4))
    assert [got for _, got in (first, second, third, fourth)] == ["0", "1", "2", "None"]
    second[0].send_signal(signal.SIGKILL)
    second[0].wait()
    claimed = claim(names, folder=tmp_path)
    assert claimed is not None and claimed[0] == 1
    assert claim(names, folder=tmp_path) is None  # also for this process: it holds one
    claimed[1].release()
    for process, _ in (first, third, fourth):
        process.communicate()


def test_a_run_computes_on_the_gpu_that_it_claimed_and_says_so(machine: list[int], tmp_path: Path) -> None:
    folder = tmp_path / f"lgsf-claims-{os.getuid()}"
    other, got = holder(folder, ["gpu-u-0", "gpu-u-1"])
    assert got == "0"
    assert own_device("cpu") == torch.device("cpu") and machine == []
    assert own_device("cuda") == own_device("cuda") == torch.device("cuda", 1)  # a second run in the process keeps it
    assert set(machine) == {1}
    assert claim(["gpu-u-1"], folder=folder) is None
    give_back()
    again = claim(["gpu-u-1"], folder=folder)
    assert again is not None
    again[1].release()
    data: Any = SimpleNamespace(sha256="", manifest={"source": {}, "protocol": {}, "vocabulary": {}, "splits": {}})
    said = provenance(data, device=own_device("cuda"))["device"]
    assert said == {"type": "cuda", "name": "Made Up 9000", "gpus": [{"index": 1, "uuid": "u-1"}]}
    assert device_words(Device.model_validate(said)) == "cuda Made Up 9000 GPU 1"
    other.communicate()


def test_where_all_are_taken_one_is_shared_aloud_or_none_is_had(machine: list[int], tmp_path: Path, caplog) -> None:
    held = [claim([f"gpu-u-{index}"], folder=tmp_path / f"lgsf-claims-{os.getuid()}") for index in (0, 1)]
    with pytest.raises(LgsfError, match="all 2 GPUs that this process sees are taken by others, and each process"):
        own_device("cuda", share=False)
    assert own_device("cuda") == torch.device("cuda", 0)
    assert "all 2 GPUs that this process sees are taken by others: it shares GPU 0" in caplog.text
    assert all(held)


def test_without_a_gpu_it_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(devices, "_mine", [])
    with pytest.raises(LgsfError, match="asks for device 'cuda'"):
        own_device("cuda")


def test_words_for_a_cpu_and_for_several_gpus() -> None:
    assert device_words(Device(type="cpu", name="Some CPU")) == "cpu Some CPU"
    gpus = [{"index": index, "uuid": str(index)} for index in (0, 3)]
    several = Device.model_validate({"type": "cuda", "name": "X", "gpus": gpus})
    assert device_words(several) == "cuda X GPUs 0, 3"
