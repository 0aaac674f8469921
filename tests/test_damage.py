"""For every file that the project reads: damage ends in the same result or in one sentence, never in another number.

Damage is a cut, emptying, a flipped bit, and another valid file of the kind: that of another seed, or of a world with
other data and other weights. Each file is read by the step that reads it in a user's hands.
"""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lgsf.data.layout import open_dataset
from lgsf.data.positives import positives_of
from lgsf.evaluation.evaluate import evaluate
from lgsf.gallery.collect import collect_album
from lgsf.models.build import read_settings
from lgsf.report.collected import Collected
from lgsf.runs.log import read_log
from lgsf.runs.ranks import read_ranks
from lgsf.system.errors import LgsfError
from lgsf.tables.beyond import collect_beyond
from lgsf.tables.collect import collect
from lgsf.tables.files import read_beyond, read_runs, read_tests
from lgsf.tables.finished import Finished
from lgsf.training.resume import ResumeState
from lgsf.verdict.files import read_verdicts
from tests.support.world import World, copied

pytestmark = pytest.mark.seconds

Result = Any


def data(world: World) -> Result:
    """Everything that training and evaluation read of a dataset."""
    opened, digest = open_dataset(world.dataset), hashlib.sha256()
    digest.update(repr((opened.manifest["protocol"], opened.vocabulary().words)).encode())
    for name in ("train", "dev", "test"):
        split = opened.split(name)
        for reader in (split.regions, split.boxes):
            assert reader is not None
            digest.update(reader.read(np.arange(len(reader))).tobytes())
        digest.update(split.region_counts.tobytes())
        digest.update((split.images.to_csv() + split.captions.to_csv()).encode())
        positives_of(split, world.dataset / name)
    return digest.hexdigest()


def scores(world: World) -> Result:
    """What evaluation makes of weights and record."""
    out = world.run(0)
    kept = {path: path.read_bytes() for path in out.glob("*/*.npz")}
    evaluate(run=out, dataset=world.dataset, memory_mb=64)
    found = [read_ranks(out, split) for split in ("dev", "test")]
    for path, content in kept.items():
        path.write_bytes(content)
    return [(ranks.i2t.tolist(), ranks.t2i.tolist()) for ranks in found]


def numbers(world: World) -> Result:
    """What the tables say of all runs."""
    runs = collect(world.experiment, Finished(world.results))
    return runs.to_csv() + collect_beyond(runs, Finished(world.results)).to_csv()


def album(world: World) -> Result:
    """What the album says of runs and data."""
    made = collect_album(
        world.experiment, "tiny", results=world.results, root=world.dataset, photos=None, budget=10_000
    )
    return made.model_dump_json()


def tables(world: World) -> Result:
    """The tables as the report and the verdict read them."""
    frames = (
        read_runs(world.experiment, world.tables), read_tests(world.tables), read_beyond(world.tables),
        *read_verdicts(world.tables),
    )  # fmt: skip
    return [frame.to_csv() for frame in frames]


def gallery(world: World) -> Result:
    found = Collected(world.experiment, results=world.results, tables=world.tables)
    return found.albums["tiny"].model_dump_json()


def curves(world: World) -> Result:
    return [read_log(world.run(seed)) for seed in (0, 1)]


def settings(world: World) -> Result:
    return read_settings(world.config).plain()


def state(world: World) -> Result:
    """A damaged state is as good as none: the run starts from the beginning and ends the same."""
    found = ResumeState(world.run(0), "key").load()
    return None if found is None else (found["x"].tolist(), found["epoch"])


@dataclass(frozen=True)
class Case:
    """A file, the step that reads it, other results that are as good, and whether another valid file is damage."""

    file: str
    read: Callable[[World], Result]
    as_good: tuple[Result, ...] = ()
    replaced: bool = True


RUN = "results/tiny/tried/seed0"
SPLIT_FILES = ("regions.npy", "region_counts.npy", "boxes.npy", "images.parquet", "captions.parquet")
CASES = [
    *(Case(f"resources/tiny/{name}", data) for name in ("dataset.json", "vocabulary.json")),
    *(Case(f"resources/tiny/{split}/{name}", data) for split in ("train", "test") for name in SPLIT_FILES),
    Case(f"{RUN}/run.json", scores),
    Case(f"{RUN}/model.safetensors", scores),
    Case(f"{RUN}/run.json", numbers),
    Case("results/tiny/random/seed0/run.json", numbers),
    *(Case(f"{RUN}/test/{name}.npz", numbers) for name in ("ranks", "top", "relevance")),
    *(Case(f"results/tiny/random/seed0/test/{name}.npz", numbers) for name in ("ranks", "top", "relevance")),
    *(Case(f"{RUN}/test/{name}.npz", album) for name in ("ranks", "top", "gallery")),
    *(
        Case(f"results/tables/comparison/{name}.parquet", tables)
        for name in ("runs", "comparisons", "beyond", "verdicts", "claims")
    ),
    Case("results/tables/comparison/album/tiny.json", gallery),
    Case(f"{RUN}/log.jsonl", curves),
    # Other settings are no damage but another order; the run that follows them says so.
    Case("results/tiny/tried/config.json", settings, replaced=False),
    Case(f"{RUN}/.resume/state.pt", state, as_good=(None,)),
]
IDS = [f"{case.file.removeprefix('results/').removeprefix('resources/')}-{case.read.__name__}" for case in CASES]


@pytest.fixture(scope="module")
def world(whole_world: World, tmp_path_factory: pytest.TempPathFactory) -> World:
    made = copied(whole_world, tmp_path_factory.mktemp("damage") / "world")
    for seed in (0, 1):
        import torch

        state = {"x": torch.arange(500.0) + seed, "epoch": seed}
        ResumeState(made.run(seed), "key" if seed == 0 else "other").save(state)
    return made


def damages(path: Path, others: list[Path], rng: np.random.Generator, flips: int) -> Iterator[tuple[str, bytes]]:
    """(what was done, the damaged content)."""
    good = path.read_bytes()
    yield "emptied", b""
    for _ in range(max(1, flips // 10)):
        yield "cut", good[: int(rng.integers(1, len(good)))]
    for other in others:
        if other.is_file() and other.read_bytes() != good:
            yield f"replaced by {other}", other.read_bytes()
    for _ in range(flips):
        bit = int(rng.integers(8 * len(good)))
        yield f"bit {bit}", good[: bit // 8] + bytes([good[bit // 8] ^ 1 << bit % 8]) + good[bit // 8 + 1 :]
    if path.suffix == ".json":
        for value in ([], 3, None, "text", {}, [[1]]):
            yield f"the JSON {value}", json.dumps(value).encode()


def check(case: Case, world: World, other: World, flips: int) -> dict[str, int]:
    """Try every damage on one file; counts of what came of it."""
    path, counts = world.root / case.file, {"same": 0, "sentence": 0}
    good, expected = path.read_bytes(), case.read(world)
    others = [other.root / case.file, world.root / case.file.replace("seed0", "seed1").replace("/test/", "/dev/")]
    rng = np.random.default_rng(len(case.file))
    try:
        for what, content in damages(path, others if case.replaced else [], rng, flips):
            path.write_bytes(content)
            try:
                found = case.read(world)
            except LgsfError as error:
                text = str(error)
                assert text.endswith(".") and "\n" not in text.strip() and str(world.root) in text, (what, text)
                counts["sentence"] += 1
                continue
            assert found == expected or found in case.as_good, what
            counts["same"] += 1
    finally:
        path.write_bytes(good)
    assert case.read(world) == expected
    return counts


@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_damage_is_a_sentence(case: Case, world: World, other_world: World, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.ERROR)
    assert check(case, world, other_world, flips=2)["sentence"] > 0 or None in case.as_good


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_a_hundred_flipped_bits(
    case: Case, world: World, other_world: World, caplog: pytest.LogCaptureFixture, record_property: Callable[..., None]
) -> None:
    caplog.set_level(logging.ERROR)
    for what, count in check(case, world, other_world, flips=100).items():
        record_property(what, count)
        print(f"{case.file}, {case.read.__name__}: {count} {what}")


@pytest.mark.parametrize("missing", ["protocol", "splits", "vocabulary", "source", "name"])
def test_a_manifest_that_lacks_a_key_is_a_sentence(whole_world: World, tmp_path: Path, missing: str) -> None:
    shutil.copytree(whole_world.dataset, tmp_path / "tiny")
    manifest = json.loads((tmp_path / "tiny/dataset.json").read_text())
    (tmp_path / "tiny/dataset.json").write_text(
        json.dumps({k: v for k, v in manifest.items() if k not in (missing, "lgsf_seal")})
    )
    with pytest.raises(
        LgsfError, match=rf"dataset.json: key '{missing}' is missing; add it: prepare the dataset again"
    ):
        open_dataset(tmp_path / "tiny")
