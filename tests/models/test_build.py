"""What is refused before a model is built or trained: threads that the machine does not give, warm-ups without end."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
import torch

from lgsf.models.build import make_repeatable
from lgsf.models.sizing import sketched
from lgsf.system.errors import LgsfError
from lgsf.training.train import train
from tests.support.every_method import FORMS

CPU = torch.device("cpu")


def test_more_threads_than_processors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    before = threading.active_count()
    make_repeatable(CPU, 40)
    assert threading.active_count() == before  # those of the trial have ended
    started = []

    def start(self: threading.Thread) -> None:
        if len(started) == 5:
            raise RuntimeError("can't start new thread")
        started.append(self)
        real(self)

    real = threading.Thread.start
    monkeypatch.setattr(threading.Thread, "start", start)
    with pytest.raises(LgsfError, match=r"threads: 40 are asked for and this machine gave 6; lower threads"):
        make_repeatable(CPU, 40)
    assert threading.active_count() == before
    for threads in (0, -1, 1000, 10**12):
        with pytest.raises(LgsfError, match="is not between 1 and 256"):
            make_repeatable(CPU, threads)


def test_a_warm_up_longer_than_the_run(tmp_path: Path, tiny_dataset: Path, tiny_config) -> None:
    config = tiny_config(epochs=1, warmup_steps=10**9)
    with pytest.raises(LgsfError, match=r"warmup_steps of tiny/tried seed 0 is 1000000000 and the run has \d+ steps"):
        train(config=config, dataset=tiny_dataset, seed=0, out=tmp_path / "run")
    assert not (tmp_path / "run/model.safetensors").exists()


@pytest.mark.parametrize("name", FORMS)
def test_a_sketch_has_the_shapes_of_the_model_and_no_values(name: str) -> None:
    real = FORMS[name].build().state_dict()
    sketch = sketched(FORMS[name].build).state_dict()
    assert {k: v.shape for k, v in sketch.items()} == {k: v.shape for k, v in real.items()}
    assert all(tensor.is_meta for tensor in sketch.values())
