"""`lgsf verify` finds every planted break of the chain, and so does whoever reads the broken link."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from lgsf.data.layout import open_dataset
from lgsf.evaluation.evaluate import evaluate
from lgsf.system.errors import LgsfError
from lgsf.verification.verify import verify
from tests.support.world import World, copied, flip


@pytest.fixture
def world(whole_world: World, tmp_path: Path) -> World:
    return copied(whole_world, tmp_path / "world")


def checked(world: World) -> str:
    return verify(report=world.report, results=world.results, datasets=[world.dataset])


def test_a_whole_chain_holds(world: World) -> None:
    found = checked(world)
    assert "No broken link" in found and "not tied" not in found
    assert "8 rows of tables that follow from ranks: hold" in found  # two methods, two seeds, two protocols


def test_the_committed_reference_passes(repository: Path) -> None:
    found = verify(report=None, results=repository / "results" / "reference", datasets=[])
    assert "No broken link" in found
    assert "rows of tables that follow from ranks: hold" in found


def test_deleted_weights_are_no_break(world: World) -> None:
    for seed in (0, 1):
        (world.run(seed) / "model.safetensors").unlink()
    assert "2 weight files that were not kept" in checked(world)


def train_anew(world: World) -> None:
    world.train(0, learning_rate=0.03)


def other_weights(world: World) -> None:
    shutil.copy(world.run(1) / "model.safetensors", world.run(0) / "model.safetensors")


def other_ranks(world: World) -> None:
    shutil.copy(world.run(1) / "test/ranks.npz", world.run(0) / "test/ranks.npz")


def other_top(world: World) -> None:
    shutil.copy(world.run(1) / "test/top.npz", world.run(0) / "test/top.npz")


def ranks_of_dev(world: World) -> None:
    shutil.copy(world.run(0) / "dev/relevance.npz", world.run(0) / "test/relevance.npz")


def ranks_of_another_control(world: World) -> None:
    shutil.copy(world.run(1, "random") / "test/ranks.npz", world.run(0, "random") / "test/ranks.npz")


def other_log(world: World) -> None:
    shutil.copy(world.run(1) / "log.jsonl", world.run(0) / "log.jsonl")


def evaluated_again(world: World) -> None:
    """Trained and evaluated anew, and the tables left as they were."""
    world.train(0, learning_rate=0.03)
    world.evaluate(0)


def tables_again(world: World) -> None:
    evaluated_again(world)
    world.make_tables()


def data_again(world: World) -> None:
    flip(world.dataset / "train/regions.npy", 8 * 1000)


def number_edited(world: World) -> None:
    path = world.tables / "comparisons.csv"
    path.write_text(path.read_text() + "tiny,")


def mean_edited(world: World) -> None:
    path = world.tables / "summary.csv"
    path.write_text(path.read_text() + "tiny,")


def page_edited(world: World) -> None:
    page = world.report / "index.html"
    page.write_text(page.read_text().replace("</h1>", "!</h1>", 1))


BREAKS: list[tuple[Callable[[World], object], str, Callable[[World], object], str]] = [
    (train_anew, "another weights", World.make_tables, "test/ranks.npz was made from another weights"),
    (other_weights, r"model.safetensors is not the file", lambda w: w.evaluate(0), "model.safetensors is not the file"),
    (other_ranks, "another weights", World.make_tables, "ranks.npz was made from another weights"),
    (other_top, "another weights", World.make_tables, "top.npz was made from another weights"),
    (ranks_of_dev, "another split", World.make_tables, "relevance.npz was made from another split"),
    (ranks_of_another_control, "is not the file that run.json names", World.make_tables, "is not the file that run"),
    (other_log, "log.jsonl is not the file", World.make_report, "log.jsonl is not the file"),
    (evaluated_again, "made from other ranks", World.make_report, "another than the tables were made from"),
    (tables_again, "made from other tables", World.make_report, r"made from another \w+.parquet"),
    (data_again, "train/regions.npy does not have the checksum", lambda w: w.train(2), "does not have the checksum"),
    (number_edited, r"comparisons.csv does not follow from comparisons.parquet", World.make_album, ""),
    (mean_edited, r"summary.csv does not follow from runs.parquet", World.make_album, ""),
    (page_edited, "index.html is not the page", World.make_album, ""),
]


@pytest.mark.parametrize(("plant", "found", "reader", "said"), BREAKS, ids=[b[0].__name__ for b in BREAKS])
def test_every_planted_break_is_found(
    world: World, plant: Callable[[World], object], found: str, reader: Callable[[World], object], said: str
) -> None:
    plant(world)
    with pytest.raises(LgsfError, match=found):
        checked(world)
    if said:
        with pytest.raises(LgsfError, match=said):
            reader(world)


def test_an_album_of_other_ranks_does_not_stand_beside_the_tables(world: World) -> None:
    evaluated_again(world)
    world.make_album()
    with pytest.raises(LgsfError, match="shows other ranks of tiny/tried/seed0 than the tables"):
        world.make_report()


def test_tables_of_another_world_are_refused(world: World, other_world: World) -> None:
    for name in ("runs", "comparisons", "beyond", "verdicts", "claims"):
        mine = world.tables / f"{name}.parquet"
        kept = mine.read_bytes()
        shutil.copy(other_world.tables / mine.name, mine)
        with pytest.raises(LgsfError, match="parquet"):
            world.make_report()
        mine.write_bytes(kept)
    world.make_report()
    shutil.copy(world.tables / "beyond.parquet", world.tables / "comparisons.parquet")
    with pytest.raises(LgsfError, match=r"comparisons.parquet is not the table of that name"):
        world.make_report()


def test_another_dataset_is_refused_whole_or_in_part(world: World, other_world: World) -> None:
    with pytest.raises(LgsfError, match="trained on another version"):
        evaluate(run=world.run(0), dataset=other_world.dataset, memory_mb=64)
    with pytest.raises(LgsfError, match="made from another version of the dataset"):
        verify(report=None, results=world.results, datasets=[other_world.dataset])
    shutil.copy(other_world.dataset / "vocabulary.json", world.dataset / "vocabulary.json")
    shutil.copy(other_world.dataset / "dataset.json", world.dataset / "dataset.json")
    with pytest.raises(LgsfError, match="checksum"):
        open_dataset(world.dataset).split("train")


def test_a_stray_optional_file_is_not_taken_in(world: World) -> None:
    shutil.copy(world.dataset / "test/images.parquet", world.dataset / "test/judged.parquet")
    with pytest.raises(LgsfError, match=r"judged.parquet is not named by dataset.json"):
        open_dataset(world.dataset).split("test")
