"""Fixtures that every test may use."""

from __future__ import annotations

import gc
import json
import os
from collections.abc import Callable, Iterator
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
import torch

from lgsf.data.text import Vocabulary
from lgsf.data.writer import DatasetWriter
from tests.support.berts import write_bert

if TYPE_CHECKING:
    from playwright.sync_api import Browser

    from tests.support.world import World

REPOSITORY = Path(__file__).resolve().parent.parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The workflow's tests first: their one long group then shares the time with all that is short."""
    items.sort(key=lambda item: "workflow" not in item.path.parts)


def pytest_collection_finish() -> None:
    """Walk the million objects of libraries once, and not at each collection of garbage: an eighth of the time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


def pytest_configure() -> None:
    """No test cuts the power: waiting for the disk took a seventh of the time of the tests of tables and pages."""
    os.fsync = lambda _: None


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    """Numbers differ in the last digits between thread counts; tests compare bits."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def repository() -> Path:
    """Root of the repository."""
    return REPOSITORY


@pytest.fixture(scope="session")
def shared_path() -> Path:
    """Folder with real data that is not part of the repository; tests that need it are skipped without it."""
    path = Path(os.environ.get("LGSF_SHARED", REPOSITORY.parent / "shared"))
    if not path.is_dir():
        pytest.skip(f"no shared data at {path}; set LGSF_SHARED")
    return path


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """The Chromium of this machine through Playwright; tests that need it are skipped without it."""
    from tests.support.browser import find, launch

    executable = find()
    if executable is None:
        pytest.skip("no Chromium on this machine; on Debian: apt-get install chromium")
    with launch(executable) as started:
        yield started


@pytest.fixture(scope="session")
def tiny_dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset of 48/12/12 images in the layout; captions name which of nine kinds of region an image shows."""
    root = tmp_path_factory.mktemp("data") / "tiny"
    write_tiny_dataset(root)
    return root


def write_tiny_dataset(root: Path, *, folds: int = 2, seed: int = 0) -> None:
    """Write the dataset of `tiny_dataset`: ragged regions of width 10, one to four captions per image."""
    rng = np.random.default_rng(seed)
    kinds = rng.standard_normal((9, 10)).astype(np.float32)
    words = ["red", "blue", "green", "circle", "square", "star", "tall", "small", "old"]
    source = {"kind": "test", "seed": seed}
    with DatasetWriter(root, name="tiny", source=source, protocol={"folds": folds}) as writer:
        for split, n_images in (("train", 48), ("dev", 12), ("test", 12)):
            counts = rng.integers(1, 6, n_images)
            shown = [rng.choice(9, count, replace=False) for count in counts]
            regions = np.zeros((n_images, 5, 10), np.float32)
            boxes = np.zeros((n_images, 5, 4), np.float32)
            rows = []
            for image, what in enumerate(shown):
                regions[image, : len(what)] = kinds[what] + 0.1 * rng.standard_normal((len(what), 10))
                boxes[image, : len(what), 2:] = 1
                for k in range(int(rng.integers(1, 5))):
                    said = rng.choice(what, min(len(what), 1 + k), replace=False)
                    text = " and ".join(f"a {words[w]}" for w in said)
                    rows.append({"caption_id": f"{split}{image}#{k}", "image": image, "text": text})
            captions = pd.DataFrame(rows)
            images = pd.DataFrame({"image_id": [f"{split}{i}" for i in range(n_images)], "file_name": "none"})
            writer.split(
                split, images=images, captions=captions, shape=regions.shape, dtype=np.float32,
                blocks=[(regions, counts, boxes)], boxes=True,
            )  # fmt: skip
            if split == "train":
                writer.vocabulary(Vocabulary.build(captions["text"], min_count=1))


@pytest.fixture(scope="session")
def tiny_bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a random BERT whose word pieces fit the tiny dataset."""
    return write_bert(tmp_path_factory.mktemp("models") / "tiny_bert")


@pytest.fixture(scope="session")
def whole_world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """From a dataset to a report, all of it small; to be copied before anything in it is changed."""
    from tests.support.world import write_world

    return write_world(tmp_path_factory.mktemp("world") / "one")


@pytest.fixture(scope="session")
def other_world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """The same folders with other data, other weights and other numbers."""
    from tests.support.world import write_world

    return write_world(tmp_path_factory.mktemp("world") / "other", data_seed=1, learning_rate=0.02)


@pytest.fixture(scope="session")
def vision_model(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Kind of model -> folder of a tiny random one with its processor (tests.support.vision_models); made once."""
    folder = tmp_path_factory.mktemp("vision")

    @cache
    def model(kind: str) -> Path:
        from tests.support.vision_models import DUAL, write_dual_encoder, write_model  # transformers takes seconds

        return (write_dual_encoder if kind in DUAL else write_model)(folder / kind, kind)

    return model


@pytest.fixture
def tiny_config(tmp_path: Path) -> Callable[..., Path]:
    """`write_config` into the test's own folder."""
    return partial(write_config, tmp_path / "config.json")


def write_config(
    path: Path, *, model: str = "baselines.vsepp:VSEPP", parameters: dict[str, Any] | None = None, **training: Any
) -> Path:
    """Write a method's config.json for the tiny dataset; `training` overrides the small defaults."""
    settings = {
        "schema_version": 1,
        "dataset": "tiny",
        "method": "tried",
        "title": "Tried",
        "model": model,
        "parameters": {"embedding_dim": 16, "word_dim": 8} if parameters is None else parameters,
        "choices": {},
        "device": "cpu",
        "threads": 1,
        "training": {"batch_size": 16, "epochs": 4, "sum_steps": 5, "learning_rate": 0.01, **training},
    }
    path.write_text(json.dumps(settings))
    return path
