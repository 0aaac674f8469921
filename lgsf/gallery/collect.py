"""From finished runs and a dataset to the album of the report: questions, answers, attention, pictures.

Two kinds of questions. The chosen ones are drawn without looking at any model (lgsf.runs.beside.chosen). The changes
are those whose place moved most between two methods, by the mean over seeds of log2(place): from place 2 to 1
counts as much as from 200 to 100. Answers and attention are those of the first finished seed.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lgsf.config.experiment import Experiment, subject_of
from lgsf.data.layout import open_dataset
from lgsf.gallery.album import Album, Answer, Change, Direction, Question, View, write_album
from lgsf.gallery.entries import entries
from lgsf.runs.beside.chosen import MAPS, chosen_pairs
from lgsf.runs.facts import read_facts
from lgsf.runs.names import EVALUATE_AGAIN, SPLIT
from lgsf.runs.origin import read_evaluated
from lgsf.runs.ranks import Ranks, read_ranks
from lgsf.system.errors import LgsfError

logger = logging.getLogger(__name__)

TOP = 5
CHANGES = 3  # gains, and losses, of either direction
PICTURE_BUDGET = 6_000_000  # characters, for all datasets of a report; the page has ten million
WORD_METHODS = 2  # methods whose attention between words and regions is shown


@dataclass(frozen=True)
class Finished:
    """The finished runs of one method on one dataset: ranks of every seed, the rest of the first."""

    name: str
    title: str
    seeds: list[int]
    ranks: list[Ranks]
    folder: Path

    def log_places(self, direction: Direction) -> npt.NDArray[np.float64]:
        """(n_queries,) mean over seeds of log2(place)."""
        places = np.stack([getattr(ranks, direction) for ranks in self.ranks]) + 1.0
        mean: npt.NDArray[np.float64] = np.log2(places).mean(axis=0)
        return mean

    def answers(self) -> dict[str, npt.NDArray[Any]]:
        """Best candidates (n_queries, k) of both directions, of the first seed."""
        path = self.folder / SPLIT / "top.npz"
        arrays = read_evaluated(path.parent, path.name)
        for name, length in (("i2t", len(self.ranks[0].i2t)), ("t2i", len(self.ranks[0].t2i))):
            if name not in arrays or arrays[name].ndim != 2 or len(arrays[name]) != length:
                raise LgsfError(f"{path} lacks the array {name!r} with {length} rows: {EVALUATE_AGAIN}.")
        return arrays


def write_albums(
    experiment: Experiment, *, results: Path, resources: Path, photos: Mapping[str, str], out: Path
) -> None:
    """Write `<out>/<dataset>.json` for every dataset of the experiment.

    resources  folder of the prepared datasets;  photos  dataset -> folder of its photos, where the user has them
    """
    for dataset in experiment.datasets:
        if not (resources / dataset / "dataset.json").is_file():  # a report of the runs that exist may come first
            note = f"The data are not at {resources / dataset}, so there are no captions to show."
            write_album(
                out / f"{dataset}.json", Album(dataset=dataset, split=SPLIT, n_images=0, n_captions=0, notes=[note])
            )
            continue
        folder = Path(photos[dataset]) if dataset in photos else None
        budget = PICTURE_BUDGET // len(experiment.datasets)
        album = collect_album(
            experiment, dataset, results=results, root=resources / dataset, photos=folder, budget=budget
        )
        write_album(out / f"{dataset}.json", album)
        logger.info("%s: %d questions, %d changes", dataset, len(album.questions), len(album.changes))


def collect_album(
    experiment: Experiment, dataset: str, *, results: Path, root: Path, photos: Path | None, budget: int
) -> Album:
    """The album of one dataset; without any finished run it says so and is empty."""
    data = open_dataset(root)
    split = data.split(SPLIT)
    empty = Album(dataset=dataset, split=SPLIT, n_images=len(split.images), n_captions=len(split.captions))
    notes: list[str] = []
    finished = _finished(experiment, dataset, results, data.sha256, notes)
    shown = [m for m in (subject_of(experiment), *experiment.references) if m in finished]
    if not shown:
        return empty.model_copy(update={"notes": [*notes, "No run of the methods that are compared has finished."]})
    tops = {name: finished[name].answers() for name in dict.fromkeys(shown)}
    looks = _looks(finished, notes)

    def answer(name: str, direction: Direction, row: int) -> Answer:
        run = finished[name]
        place = int(getattr(run.ranks[0], direction)[row]) + 1
        return Answer(
            method=name, title=run.title, seed=run.seeds[0], place=place, top=tops[name][direction][row, :TOP].tolist()
        )

    images, captions = chosen_pairs(dataset, SPLIT, split.caption_image)
    questions = []
    for number, (image, caption) in enumerate(zip(images.tolist(), captions.tolist(), strict=True)):
        direction: Direction = "i2t" if number < len(images) // 2 else "t2i"
        row = image if direction == "i2t" else caption
        questions.append(
            Question(
                direction=direction, row=row, image=image, caption=caption,
                answers=[answer(name, direction, row) for name in tops],
                views=_views(finished, looks, image, caption, compared=list(tops)),
            )
        )  # fmt: skip
    changes = [
        Change(direction=direction, row=row, reference=reference, before=2**before, after=2**after,
               answers=[answer(reference, direction, row), answer(shown[0], direction, row)])
        for reference in list(tops)[1:]
        for direction, row, before, after in largest_changes(finished[reference], finished[shown[0]])
    ]  # fmt: skip
    return empty.model_copy(
        update={
            "questions": questions,
            "changes": changes,
            "made_from": {"dataset": data.sha256} | _ranks(finished),
            **entries(data, split, questions, changes, photos=photos, budget=budget, notes=notes),
            "notes": notes,
        }
    )


def largest_changes(before: Finished, after: Finished) -> list[tuple[Direction, int, float, float]]:
    """(direction, row, log2 place before, after): the largest gains, then the largest losses, of each direction."""
    found: list[tuple[Direction, int, float, float]] = []
    directions: tuple[Direction, ...] = ("i2t", "t2i")
    for direction in directions:
        old, new = before.log_places(direction), after.log_places(direction)
        gain = np.round(old - new, 9)  # equal places may differ in the last digit of their mean
        order = np.argsort(-gain, kind="stable")
        best = [row for row in order[:CHANGES] if gain[row] > 0]
        worst = [row for row in np.argsort(gain, kind="stable")[:CHANGES] if gain[row] < 0]
        found += [(direction, int(row), float(old[row]), float(new[row])) for row in (*best, *worst)]
    return found


def _finished(
    experiment: Experiment, dataset: str, results: Path, dataset_sha256: str, notes: list[str]
) -> dict[str, Finished]:
    """Method -> its finished runs on this very dataset; controls have nothing to show."""
    found: dict[str, Finished] = {}
    for run in experiment.expected():
        folder = results / run.folder
        if run.dataset != dataset or run.is_control or not (folder / SPLIT / "ranks.npz").is_file():
            continue
        if not (folder / "run.json").is_file():
            continue
        if read_facts(folder).dataset_sha256 != dataset_sha256:
            notes.append(f"{run.title}, seed {run.seed}, is left out: it belongs to another version of the data.")
            continue
        if run.method not in found:
            found[run.method] = Finished(run.method, run.title, [], [], folder)
        found[run.method].seeds.append(run.seed)
        found[run.method].ranks.append(read_ranks(folder))
    return found


def _ranks(finished: Mapping[str, Finished]) -> dict[str, str]:
    """<dataset>/<method>/seed<k> -> sha256 of the ranks that an album was made from."""
    return {
        "/".join((*run.folder.parts[-3:-1], f"seed{seed}")): ranks.sha256
        for run in finished.values()
        for seed, ranks in zip(run.seeds, run.ranks, strict=True)
    }


def _looks(finished: Mapping[str, Finished], notes: list[str]) -> dict[str, dict[str, npt.NDArray[Any]]]:
    """Method -> arrays of its gallery.npz; runs of other code and older runs have none."""
    found, silent = {}, []
    for name, run in finished.items():
        path = run.folder / SPLIT / "gallery.npz"
        if not path.is_file():
            silent.append(run.title)
            continue
        arrays = read_evaluated(path.parent, path.name)
        wanted = {"image", "caption", "n_regions", "score", "region_effect"}
        wanted |= {"words"} if {"word_region", "region_word"} & set(arrays) else set()
        if absent := sorted(wanted - set(arrays)):
            raise LgsfError(f"{path} lacks the array {absent[0]!r}: {EVALUATE_AGAIN}.")
        found[name] = arrays
    if silent:
        notes.append(f"Nothing was kept of what these looked at: {', '.join(silent)}.")
    return found


def _views(
    finished: Mapping[str, Finished],
    looks: Mapping[str, dict[str, npt.NDArray[Any]]],
    image: int,
    caption: int,
    *,
    compared: list[str],
) -> list[View]:
    """Of the compared methods what their scores rest on; of the first one with a graph, and of the first few that
    compare words with regions, their attention."""
    graphs = [name for name in (*compared, *looks) if "region_region" in looks.get(name, {})][:1]
    words = [name for name in looks if {"word_region", "region_word"} & set(looks[name])][:WORD_METHODS]
    views = []
    for name in dict.fromkeys([*compared, *graphs, *words]):
        if name not in looks:
            continue
        arrays = looks[name]
        here = np.flatnonzero((arrays["image"] == image) & (arrays["caption"] == caption))
        if not len(here):
            continue
        pair, count = int(here[0]), int(arrays["n_regions"][here[0]])
        effect = arrays["region_effect"][pair, :count]
        facts: dict[str, Any] = {"words": []}
        if name in words:
            facts["words"] = [str(word) for word in arrays["words"][pair] if word]
        lengths = {"r": count, "w": len(facts["words"])}
        for key, axes in MAPS.items():
            if key in arrays and (name in graphs if key == "region_region" else name in words):
                facts[key] = _rounded(arrays[key][pair, : lengths[axes[0]], : lengths[axes[1]]])
        run = finished[name]
        views.append(
            View(
                method=name, title=run.title, seed=run.seeds[0], score=round(float(arrays["score"][pair]), 4),
                effect=_rounded(effect) if name in compared and np.isfinite(effect).all() else [], **facts,
            )
        )  # fmt: skip
    return views


def _rounded(values: npt.NDArray[Any]) -> list[Any]:
    rounded: list[Any] = np.round(values.astype(np.float64), 5).tolist()
    return rounded
