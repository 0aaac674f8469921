"""Estimates against arithmetic by hand, sizes of data wherever they come from, and a sentence where there is none."""

from __future__ import annotations

import itertools
import json
import re
import shutil
import time
from pathlib import Path

import pytest
import torch
import yaml

from lgsf.cli import main
from lgsf.config.file import Config
from lgsf.data.precomp.settings import PrecompSource
from lgsf.estimating import estimate as estimating
from lgsf.estimating.estimate import estimate, makespan
from lgsf.estimating.sizes import DataSize, data_size
from lgsf.estimating.steps import Cost, measure, measured
from lgsf.models.build import read_settings
from lgsf.system.errors import LgsfError
from tests.support.packs import write_pack

SIZE = DataSize(
    images={"train": 640, "dev": 256, "test": 512}, captions={"train": 3200, "dev": 2048, "test": 1024},
    n_regions=6, region_dim=10, has_boxes=True, vocabulary=40, number_bytes=4, known_from="here",
)  # fmt: skip


def test_sizes_come_from_the_dataset_the_pack_or_what_was_published(tmp_path: Path, tiny_dataset: Path) -> None:
    shutil.copytree(tiny_dataset, tmp_path / "resources" / "coco_tiny")
    prepared = data_size("coco_tiny", None, tmp_path / "resources")  # what is there stands above a name
    assert dict(prepared.images) == {"train": 48, "dev": 12, "test": 12}
    assert (prepared.n_regions, prepared.region_dim, prepared.has_boxes, prepared.number_bytes) == (5, 10, True, 4)
    on_disk = sum(
        path.stat().st_size
        for name in ("regions.npy", "boxes.npy")
        for path in (tmp_path / "resources" / "coco_tiny").rglob(name)
    )
    assert 0 <= on_disk - prepared.disk < 6 * 200  # headers

    write_pack(tmp_path / "pack")
    source = PrecompSource(source="precomp", path=str(tmp_path / "pack"), captions_per_image=2)
    pack = data_size("own", source, tmp_path / "none")
    lines = {split: len((tmp_path / "pack" / f"{split}_caps.txt").read_text().splitlines()) for split in pack.captions}
    assert dict(pack.captions) == lines
    assert dict(pack.images) == {split: n // 2 for split, n in lines.items()}
    limited = data_size("own", source.model_copy(update={"limit_train": 2, "store": "int8"}), tmp_path / "none")
    assert (limited.images["train"], limited.captions["train"], limited.number_bytes) == (2, 4, 1)

    coco = data_size("coco_features", None, tmp_path / "none")
    assert (coco.images["train"], coco.captions["train"], coco.captions["test"]) == (113_287, 566_435, 25_000)
    assert coco.disk == (113_287 + 10_000) * 36 * 2048 * 4
    with pytest.raises(LgsfError, match=r"how large the dataset 'own' is: .* has not been prepared.*prepare it first"):
        data_size("own", None, tmp_path / "none")


@pytest.mark.parametrize("devices", [1, 2, 3])
def test_many_devices_are_as_fast_as_a_greedy_plan(devices: int) -> None:
    hours = [5.0, 4.0, 3.0, 3.0, 1.0, 1.0]
    best = min(
        max(sum(h for h, at in zip(hours, places, strict=True) if at == d) for d in range(devices))
        for places in itertools.product(range(devices), repeat=len(hours))
    )
    found = makespan(hours, devices)
    assert best <= found <= 4 / 3 * best  # Graham 1969: the longest first is never worse


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """Two methods and an ensemble of one of them on data of COCO's size, three seeds."""
    methods = {
        "one": {"model": "baselines.vsepp:VSEPP", "title": "One", "training": {"epochs": 2}},
        "two": {"model": "baselines.vsepp:VSEPP", "title": "Two", "training": {"batch_size": 256}},
    }
    raw = {
        "experiment": "costly", "title": "What it costs", "device": "cuda", "datasets": {"coco": {"source": "precomp", "path": "no"}},
        "run": {"datasets": ["coco"], "methods": ["one", "pair"], "seeds": [0, 1, 2], "reference": "one", "controls": []},
        "training": {"batch_size": 128, "epochs": 10}, "methods": methods,
        "ensembles": {"pair": {"title": "Pair", "members": ["one", "two"]}},
        "pathvars": {"resources": str(tmp_path / "resources")},
    }  # fmt: skip
    path = tmp_path / "costly.yaml"
    path.write_text(yaml.safe_dump(raw))
    return path


def rows(text: str) -> dict[str, list[str]]:
    """method -> cells of the table."""
    lines = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("| coco")]
    return {cells[1]: [cell.strip() for cell in cells] for cells in lines}


def test_hours_are_runs_times_steps_times_a_step(config: Path) -> None:
    given = {"one": {"step_ms": 100, "dev_s": 36}, "two": {"step_ms": 50}}
    text = estimate(
        configfiles=[config], config=None, resources=None, device=None, devices=[1, 4], steps=1, given=given
    )
    found = rows(text)
    # 566,435 captions: 4,425 steps of 128 and 2,212 of 256 an epoch; members of the ensemble are no further runs.
    one = (2 * 4425 * 0.1 + 2 * 36 + 72) / 3600
    two = 10 * 2212 * 0.05 / 3600
    assert found["one"][2:8] == [
        "3", "8,850", "100", "36", f"{one:.2f}", f"{3 * one:.2f}",
    ]  # fmt: skip
    assert found["two"][2:8] == ["3", "22,120", "50", "", f"{two:.2f}", f"{3 * two:.2f}"]
    assert set(found) == {"one", "two"}
    assert f"6 runs: {3 * (one + two):.1f} device hours; {3 * (one + two):.1f} h on 1 device," in text
    assert f"{makespan([one] * 3 + [two] * 3, 4):.1f} h on 4 devices," in text
    assert "given, not measured: one, two" in text and "measured here" not in text
    assert "dev and evaluation of two" in text and text.startswith("Estimate: What it costs")


def test_what_is_not_known_is_measured_where_it_was_asked(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def fake(settings, size, *, device, steps):  # type: ignore[no-untyped-def]
        asked.append((settings.method, settings.training.batch_size, device, steps, size.captions["train"]))
        return Cost(step=0.5, dev=10.0, evaluation=20.0, memory_mb=1000.0, weights=2**20)

    monkeypatch.setattr(estimating, "measured", fake)
    given = {"one": {"step_ms": 100}}
    text = estimate(configfiles=[config], config=None, resources=None, device="cpu", devices=[1], steps=7, given=given)
    assert asked == [("two", 256, "cpu", 7, 566_435)]
    assert "measured here on cpu; given, not measured: one" in text
    assert "0.01 GiB of weights, 0.02 GiB for each run at work" in text  # three seeds of 4 MiB; four copies of them
    assert rows(text)["two"][8] == "1,000"


@pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU is here")
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "give either --configfile, for an experiment, or --config"),
        (["--configfile", "FILE"], "to be measured on cuda and torch finds no GPU here: run this on the machine"),
        (["--configfile", "FILE", "--step-times", "[]"], "--step-times must be an object such as"),
        (["--configfile", "FILE", "--step-times", '{"three": {"step_ms": 1}}'], "names 'three', which is not trained"),
        (["--configfile", "FILE", "--step-times", '{"one": {"step_ms": 0}}'], "--step-times: one: "),
        (["--configfile", "FILE", "--step-times", '{"one": {"ms": 1}}'], "--step-times: one: "),
        (["--configfile", "FILE", "--device", "cpu", "--steps", "0"], "a whole number from 1 to 1000"),
    ],
)
def test_mistakes_end_with_a_sentence(config: Path, capsys, arguments: list[str], said: str) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["estimate", *(str(config) if part == "FILE" else part for part in arguments)])
    assert stopped.value.code == 2
    message = capsys.readouterr()
    assert said in message.err.splitlines()[-1] and "Traceback" not in message.err
    assert not message.out


def test_the_shipped_configurations_are_estimated_without_measuring(capsys) -> None:
    names = Config.read(["config/config.yaml", "config/coco.yaml"]).run.methods
    times = json.dumps({name: {"step_ms": 10} for name in names})
    main(["estimate", "--configfile", "config/coco.yaml", "--step-times", times, "--devices", "1", "8"])
    said = capsys.readouterr().out
    assert re.search(r"coco \(published size of coco\): train 113,287 images and 566,435 captions", said)
    assert said.count("| coco |") == len(names)


@pytest.mark.seconds
def test_a_slow_step_is_seen_and_a_look_at_dev_grows_with_the_data(tmp_path: Path, tiny_config, monkeypatch) -> None:
    from baselines.vsepp import VSEPP

    settings = read_settings(tiny_config())
    quick = measure(settings.plain(), SIZE, "cpu", 2)
    plain = VSEPP.loss

    def slow(self, *arguments):  # type: ignore[no-untyped-def]
        time.sleep(0.3)
        return plain(self, *arguments)

    monkeypatch.setattr(VSEPP, "loss", slow)
    late = measure(settings.plain(), SIZE, "cpu", 1)
    assert late.step > 0.3 and quick.step < late.step
    assert quick.dev and quick.evaluation and quick.evaluation > quick.dev > 0
    assert quick.weights and quick.memory_mb


@pytest.mark.slow
def test_each_method_is_measured_in_a_process_of_its_own(tiny_config) -> None:
    cost = measured(read_settings(tiny_config()), SIZE, device="cpu", steps=1)
    assert 0 < cost.step < 60 and cost.memory_mb and cost.memory_mb > 50
