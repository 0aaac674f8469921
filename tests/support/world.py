"""A small world of its own: a dataset, two seeds of a method, controls, tables, album, verdicts and a report."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from lgsf.config.experiment import Experiment
from lgsf.evaluation.controls import control
from lgsf.evaluation.evaluate import evaluate
from lgsf.gallery.collect import write_albums
from lgsf.models.build import check_settings
from lgsf.report.page import write_report
from lgsf.system.files import write_json
from lgsf.tables.write import write_tables
from lgsf.training.train import train
from lgsf.verdict.compare import compare
from tests.conftest import write_config, write_tiny_dataset

PUBLISHED = Path(__file__).parents[2] / "config" / "published.csv"
METHOD = "tried"


@dataclass(frozen=True)
class World:
    """Where everything lies under `root`; every step can be repeated."""

    root: Path

    @property
    def dataset(self) -> Path:
        return self.root / "resources" / "tiny"

    @property
    def results(self) -> Path:
        return self.root / "results"

    @property
    def tables(self) -> Path:
        return self.results / "tables" / "comparison"

    @property
    def report(self) -> Path:
        return self.root / "reports" / "w"

    @property
    def config(self) -> Path:
        return self.results / "tiny" / METHOD / "config.json"

    def run(self, seed: int, method: str = METHOD) -> Path:
        return self.results / "tiny" / method / f"seed{seed}"

    @property
    def experiment(self) -> Experiment:
        return Experiment.parse(
            json.dumps(
                {
                    **{"experiment": "w", "title": "W", "datasets": ["tiny"], "seeds": [0, 1], "reference": METHOD},
                    **{"methods": [{"name": METHOD, "title": "Tried"}], "controls": ["random"]},
                }
            )
        )

    def make_tables(self) -> None:
        write_tables(self.experiment, results=self.results, out=self.tables)

    def make_album(self) -> None:
        write_albums(
            self.experiment, results=self.results, resources=self.dataset.parent, photos={}, out=self.tables / "album"
        )

    def make_verdicts(self) -> None:
        compare(
            experiment=self.experiment, tables=self.tables, results=None, dataset=None, method=None, published=None,
            reference=None, config=Path(), table=PUBLISHED, out=self.tables,
        )  # fmt: skip

    def make_report(self) -> None:
        write_report(self.experiment, results=self.results, tables=self.tables, out=self.report)

    def evaluate(self, seed: int) -> None:
        evaluate(run=self.run(seed), dataset=self.dataset, memory_mb=64)

    def train(self, seed: int, **training: object) -> None:
        raw = json.loads(write_config(self.config, epochs=1, **training).read_text())
        write_json(self.config, check_settings(raw, source="the test").plain())  # as the configure step does
        train(config=self.config, dataset=self.dataset, seed=seed, out=self.run(seed))


def write_world(root: Path, *, data_seed: int = 0, learning_rate: float = 0.01) -> World:
    """Everything from the data to the report, in about three seconds."""
    world = World(root)
    write_tiny_dataset(world.dataset, seed=data_seed)
    world.config.parent.mkdir(parents=True)
    for seed in (0, 1):
        world.train(seed, learning_rate=learning_rate)
        world.evaluate(seed)
        control(kind="random", dataset=world.dataset, seed=seed, out=world.run(seed, "random"))
    for step in (world.make_tables, world.make_album, world.make_verdicts, world.make_report):
        step()
    return world


def copied(world: World, to: Path) -> World:
    """A copy of one's own to damage."""
    return World(Path(shutil.copytree(world.root, to)))


def flip(path: Path, bit: int) -> None:
    """Turn over one bit of a file."""
    data = bytearray(path.read_bytes())
    data[bit // 8] ^= 1 << (bit % 8)
    path.write_bytes(data)


Step = Callable[[World], object]
