"""More than sixty hostile checkpoints: nothing is run, each ends in one sentence, quickly and in bounded memory.

They are read one after the other by one process that may not grow; a case that hung or ate memory would end it.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch

from lgsf.cli import main
from lgsf.pretrained.released import read_released
from tests.support.hostile import CASES, archive, calling, content
from tests.support.released_files import make_files

pytestmark = pytest.mark.seconds

SECONDS, GROWTH_MB = 10, 200
READER = """
import json, resource, signal, sys, time
from pathlib import Path
import torch
from lgsf.pretrained.released import read_released
from lgsf.runs.provenance import peak_memory_mb
from lgsf.system.errors import LgsfError

def late(*_):
    raise BaseException("too slow")

signal.signal(signal.SIGPROF, late)
start = peak_memory_mb()
for file in json.load(sys.stdin):
    signal.setitimer(signal.ITIMER_PROF, %d)  # of processor time: the machine may be busy
    began = time.process_time()
    try:
        read_released(Path(file))
        said = "was read"
    except LgsfError as error:
        said = "LgsfError: " + str(error)
    except BaseException as error:
        said = f"{type(error).__name__}: {error}"
    signal.setitimer(signal.ITIMER_PROF, 0)
    print(json.dumps([said, time.process_time() - began, peak_memory_mb() - start]), flush=True)
"""


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory, repository: Path) -> dict[str, tuple[Any, Path]]:
    """Case -> ((what was said, seconds, growth of the peak in MiB), its marker)."""
    folder = tmp_path_factory.mktemp("hostile")
    files = {}
    for number, (name, (write, _)) in enumerate(CASES.items()):
        path, marker = folder / f"{number}.pth", folder / f"{number}.ran"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of kinds of tensors that torch has in trial
            write(path, marker)
        files[name] = (path, marker)
    done = subprocess.run(
        [sys.executable, "-c", READER % SECONDS], input=json.dumps([str(path) for path, _ in files.values()]),
        cwd=repository, capture_output=True, text=True, check=False,
    )  # fmt: skip
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(lines) == len(CASES), done.stderr[-2000:]
    return {name: (line, marker) for line, (name, (_, marker)) in zip(lines, files.items(), strict=True)}


def test_there_are_more_than_sixty() -> None:
    assert len(CASES) >= 80


@pytest.mark.parametrize("name", CASES)
def test_hostile_checkpoints(answers: dict[str, tuple[Any, Path]], name: str) -> None:
    (said, seconds, growth), marker = answers[name]
    assert said.startswith("LgsfError: "), said
    assert re.search(CASES[name][1], said), said
    assert "\n" not in said and said.endswith(".") and len(said) < 700
    assert not marker.exists()
    assert seconds < SECONDS / 2
    assert growth < GROWTH_MB  # over all cases up to this one


def test_the_good_content_is_read(tmp_path: Path) -> None:
    for new in (True, False):
        torch.save(content(), tmp_path / "good", _use_new_zipfile_serialization=new)
        released = read_released(tmp_path / "good")
        assert released.weights["img_enc.fc.weight"].shape == (4, 3)
        assert released.options == {"margin": 0.2, "measure": "cosine"}
        assert released.epoch == 3


def test_the_calls_would_run(tmp_path: Path) -> None:
    """So that the test above is about something."""
    archive(tmp_path / "file", calling("posix", "mkdir", str(tmp_path / "it_ran")))
    torch.load(tmp_path / "file", weights_only=False)
    assert (tmp_path / "it_ran").is_dir()


@pytest.mark.parametrize(
    ("case", "name", "value", "said"),
    [
        ("vsepp_max", "margin", "wide", "option margin is 'wide' and must be a number"),
        ("vsepp_max", "margin", float("nan"), "option margin is nan and must be a number"),
        ("vsepp_max", "margin", None, "option margin is None"),
        ("vsepp_max", "measure", ["cosine"] * 1000, "trained with measure = "),
        ("vsepp_max", "embed_size", 10**12, "embed_size = 1000000000000 and its weights 32"),
        ("scan_t2i_lse", "lambda_softmax", float("inf"), "lambda_softmax is inf and must be a number"),
        ("sgraf_sgr", "sgr_step", 10**9, "steps is larger than 100"),
        ("sgraf_sgr", "sgr_step", 2.5, "option sgr_step is 2.5 and must be a count"),
        ("sgraf_sgr", "sgr_step", -1, "must be a count"),
    ],
)
def test_options_that_no_model_has(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], case: str, name: str, value: Any, said: str
) -> None:
    files = make_files(tmp_path, case)
    setattr(files.content["opt"], name, value)
    files.save()
    capsys.readouterr()
    with pytest.raises(SystemExit, match="2"):
        main(files.arguments())
    (sentence,) = capsys.readouterr().err.splitlines()
    assert said in sentence and len(sentence) < 700
    assert not files.out.exists()


def test_weights_that_would_make_a_model_of_terabytes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The file is small, since its first layer reads few numbers; what follows from its width would not be."""
    files = make_files(tmp_path, "vsepp_max")
    width = 120_000
    image, text = files.content["model"]
    image["fc.weight"], image["fc.bias"] = torch.zeros(width, image["fc.weight"].shape[1]), torch.zeros(width)
    files.content["opt"].embed_size = width
    files.save()
    assert len(text) > 1
    capsys.readouterr()
    with pytest.raises(SystemExit, match="2"):
        main(files.arguments())
    (sentence,) = capsys.readouterr().err.splitlines()
    assert re.search(r"has shape \(.*\), not \(\d*360000", sentence), sentence
