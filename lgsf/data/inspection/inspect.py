"""`lgsf inspect`: what a prepared dataset is, and what looks wrong with it, from its files alone.

Features are read once, in blocks, and once more where two images look alike; what is held is 64 numbers and a digest
per image. An error is what cannot be right, a warning what a person should look at; both come with a figure.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lgsf.data.checks.facts import Checks
from lgsf.data.inspection import similar
from lgsf.data.inspection.fit import EXCHANGES, SAMPLE, Fit, fit
from lgsf.data.inspection.measure import Measured, measure
from lgsf.data.inspection.table import as_markdown
from lgsf.data.layout import SPLITS, Dataset, Split, open_dataset
from lgsf.data.text import Vocabulary, tokenize
from lgsf.system.errors import LgsfError
from lgsf.system.files import write_json, write_text
from lgsf.system.hashes import sha256

CHANCE = 3.0  # standard deviations that chance hardly reaches
STRONG = 6.0  # of a window, where the whole split lets this much be expected
MANY = 0.01  # share of regions that repeat another one of their image
SHOWN = 3  # examples in a sentence
Pictures = Callable[[Dataset, Split], Mapping[int, Path]]
Rows = npt.NDArray[np.int64]


@dataclass
class Inspection:
    """facts: group -> split or name -> value; errors and warnings are sentences."""

    facts: dict[str, Any] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def inspect(root: Path, *, pictures: Pictures | None = None, out: Path | None = None) -> str:
    """Look at the dataset in `root`; write inspection.json and inspection.md into `out`, by default into `root`.

    pictures  finds the picture of each row of a split, where there are any

    Returns the text of inspection.md. Raises LgsfError where there is no dataset at all.
    """
    data = open_dataset(root)
    found = Inspection()
    source = data.manifest.get("source", {})
    found.facts["dataset"] = {
        "name": data.name,
        "source": source.get("kind", "unknown"),
        "licence": source.get("licence", "unknown"),
        "features": source.get("features", "unknown"),
        "folds of test": data.manifest["protocol"]["folds"],
        "sha256 of dataset.json": sha256(root / "dataset.json"),
    }
    _checksums(data, found)
    splits = _opened(data, found)
    checks, measured = Checks(data.name), {}
    for name, split in splits.items():
        measured[name] = _look(split, checks, found)
    _together(data, checks, splits, found)
    _features_alike(splits, measured, checks, found)
    if pictures is not None:
        _pictures_alike(data, splits, pictures, found)
    place = out or root
    write_json(place / "inspection.json", {**found.facts, "errors": found.errors, "warnings": found.warnings})
    text = as_markdown(data.name, found.facts, found.errors, found.warnings)
    write_text(place / "inspection.md", text)
    return text


def _checksums(data: Dataset, found: Inspection) -> None:
    """Every file of the manifest has the checksum that stands there."""
    right = 0
    for split, promised in data.manifest["splits"].items():
        for file, digest in promised.get("sha256", {}).items():
            path = data.root / split / file
            if not path.is_file():
                found.errors.append(f"{path} is missing: prepare the dataset again.")
            elif sha256(path) != digest:
                found.errors.append(
                    f"{path} is not what was prepared (its checksum differs): prepare the dataset again."
                )
            else:
                right += 1
    found.facts["dataset"]["files with the right checksum"] = right


def _opened(data: Dataset, found: Inspection) -> dict[str, Split]:
    splits = {}
    for name in SPLITS:
        try:
            splits[name] = data.split(name)
        except (LgsfError, OSError, ValueError, KeyError) as error:  # a damaged file may fail anywhere in its reader
            found.errors.append(f"{data.root / name} cannot be opened and was not looked at: {error}")
    return splits


def _look(split: Split, checks: Checks, found: Inspection) -> Measured:
    """Facts of one split, from one pass over its features."""
    where = f"split {split.name}"
    try:
        checks.captions(split.name, split.captions)
    except LgsfError as error:
        found.errors.append(str(error))
    measured = measure(split, lambda regions, counts: checks.images(split.name, regions, counts))
    n, counts = measured.n_images, split.region_counts
    per_image = np.bincount(split.caption_image, minlength=n)
    facts: dict[str, Any] = {
        "images": n,
        "captions": len(split.captions),
        "captions_per_image": {str(k): int((per_image == k).sum()) for k in np.unique(per_image)},
        "regions_least": int(counts.min()),
        "regions_mean": float(counts.mean()),
        "regions_most": int(counts.max()),
        "region_dim": split.regions.shape[2],
        **measured.facts(),
    }
    if split.boxes is not None:
        facts |= {"box_area_mean": measured.box_area / max(measured.regions, 1), "flat_boxes": measured.flat_boxes}
    if measured.dead:
        found.warnings.append(
            f"{where}: {measured.dead_regions} of {measured.regions} regions ({_percent(measured.dead_regions, measured.regions)}) "
            f"are dead (all zero, or one number throughout), in {len(measured.dead)} images, the first is "
            f"{split.images['image_id'].iloc[measured.dead[0]]!r}: extract their features again."
        )
    if measured.repeated > MANY * measured.regions:
        found.warnings.append(
            f"{where}: {measured.repeated} of {measured.regions} regions ({_percent(measured.repeated, measured.regions)}) "
            "repeat another region of their image bit for bit."
        )
    if measured.behind:
        found.errors.append(
            f"{where}: {len(measured.behind)} images have features behind their last valid region, the first is "
            f"{split.images['image_id'].iloc[measured.behind[0]]!r}: prepare the dataset again."
        )
    if facts["dead_columns"]:
        found.warnings.append(
            f"{where}: {facts['dead_columns']} of {facts['region_dim']} features are zero everywhere."
        )
    found.facts.setdefault("splits", {})[split.name] = facts
    return measured


def _together(data: Dataset, checks: Checks, splits: Mapping[str, Split], found: Inspection) -> None:
    """What the checks of `prepare` say, what sources measured, and whether captions fit their images."""
    try:
        vocabulary = Vocabulary.load(data.root / "vocabulary.json")
        if vocabulary.hash != data.manifest["vocabulary"]["hash"]:
            raise LgsfError(f"{data.root / 'vocabulary.json'} is not that of dataset.json: prepare the dataset again.")
    except LgsfError as error:
        found.errors.append(str(error))
        return
    judged = checks.finish(vocabulary)
    found.errors += judged.errors
    found.warnings += judged.warnings
    for name, split in splits.items():
        known = data.manifest["splits"][name]
        facts = found.facts["splits"][name]
        facts |= dict(judged.facts[name])
        facts |= {key: known[key] for key in ("proposal_recall",) if key in known}
        measured = _fit(split, vocabulary)
        if measured is None:
            continue
        facts |= {"fit_of_captions_to_images": measured.images, "fit_of_captions_of_an_image": measured.captions}
        _judge_fit(name, split, measured, found)


def _fit(split: Split, vocabulary: Vocabulary) -> Fit | None:
    """How well captions fit images, over a sample that is spread over the split."""
    n = len(split.images)
    rows = np.unique(np.linspace(0, n - 1, min(n, SAMPLE)).astype(np.int64))
    place = np.full(n, -1, np.int64)
    place[rows] = np.arange(len(rows))
    used = np.flatnonzero(place[split.caption_image] >= 0)
    words = [tokenize(split.captions["text"].iloc[row], vocabulary.tokenizer) for row in used]
    features = np.concatenate([_means(split, rows[start : start + 64]) for start in range(0, len(rows), 64)])
    return fit(features, words, place[split.caption_image[used]], rows)


def _judge_fit(name: str, split: Split, measured: Fit, found: Inspection) -> None:
    beyond = f"standard deviations beyond {EXCHANGES} random exchanges"
    if measured.images < CHANCE:
        found.warnings.append(
            f"split {name}: captions fit their images no better than those of other images ({measured.images:.1f} "
            f"{beyond}): they may be shuffled."
        )
    if measured.captions is not None and measured.captions < CHANCE:
        found.warnings.append(
            f"split {name}: the captions of an image are no more alike than those of several ({measured.captions:.1f} "
            f"{beyond}): they may be shuffled, or stand under the wrong image."
        )
    expected = measured.images / max(len(measured.windows), 1) ** 0.5
    for first, last, z in measured.windows:
        if expected >= STRONG and z < CHANCE / 2:
            ids = [split.images["image_id"].iloc[row] for row in (first, last)]
            found.warnings.append(
                f"split {name}: captions of the images {ids[0]!r} to {ids[1]!r} (rows {first} to {last}) fit no better "
                f"than by chance ({z:.1f} {beyond}), where {expected:.0f} would be usual: they may have slid."
            )


def _features_alike(
    splits: Mapping[str, Split], measured: Mapping[str, Measured], checks: Checks, found: Inspection
) -> None:
    """Images whose features are nearly, and not exactly, those of another."""
    names = [name for name in splits if len(measured[name].projected)]
    if not names:
        return
    sizes = [measured[name].n_images for name in names]
    starts = np.cumsum([0, *sizes])
    mean = np.average([measured[name].mean for name in names], axis=0, weights=sizes).astype(np.float32)

    def where(row: int) -> tuple[str, int]:
        place = int(np.searchsorted(starts, row, side="right")) - 1
        return names[place], row - int(starts[place])

    def exact(rows: Rows) -> similar.Floats:
        return np.concatenate([_means(splits[name], np.array([own])) for name, own in map(where, rows.tolist())])

    digests = [digest for name in names for digest in checks.digests(name)]
    pairs = similar.alike_features(np.concatenate([measured[name].projected for name in names]), exact, mean)
    pairs = [(a, b) for a, b in pairs if digests[a] != digests[b]]
    _tell_pairs("nearly the features of another one", [(where(a), where(b)) for a, b in pairs], splits, found)


def _pictures_alike(data: Dataset, splits: Mapping[str, Split], pictures: Pictures, found: Inspection) -> None:
    """Pictures that are nearly another one, pixel by pixel."""
    places: list[tuple[str, int]] = []
    hashes: list[similar.Hashes] = []
    for name, split in splits.items():
        files = pictures(data, split)
        broken = []
        for row, file in files.items():
            made = similar.picture_hash(file)
            if made is None:
                broken.append(file)
            elif np.bitwise_count(made[0]).sum() >= similar.SIDE:  # a blank picture is like any other
                places.append((name, row))
                hashes.append(made[0])
        found.facts["splits"][name]["pictures"] = len(files)
        if broken:
            found.warnings.append(
                f"split {name}: {len(broken)} of {len(files)} pictures cannot be read, the first is {broken[0]}."
            )
    if hashes:
        pairs = similar.alike_pictures(np.stack(hashes))
        _tell_pairs("nearly the picture of another one", [(places[a], places[b]) for a, b in pairs], splits, found)


def _tell_pairs(
    what: str, pairs: Sequence[tuple[tuple[str, int], tuple[str, int]]], splits: Mapping[str, Split], found: Inspection
) -> None:
    """Count pairs of images within and across splits, and warn of both with examples."""
    counts: dict[str, int] = {}
    examples: dict[str, list[str]] = {}
    for first, second in pairs:
        key = first[0] if first[0] == second[0] else f"{first[0]} and {second[0]}"
        counts[key] = counts.get(key, 0) + 1
        ids = [str(splits[name].images["image_id"].iloc[row]) for name, row in (first, second)]
        examples.setdefault(key, []).append(" = ".join(ids))
    found.facts.setdefault("alike", {})[what] = counts
    for key, count in counts.items():
        shown = ", ".join(examples[key][:SHOWN])
        across = "; the splits are not apart" if " and " in key else ""
        least = "at least " if len(pairs) >= similar.MOST else ""
        found.warnings.append(f"{key}: {least}{count} pairs of images have {what} ({shown}){across}.")


def _means(split: Split, rows: Rows) -> similar.Floats:
    return similar.mean_features(split.regions.read(rows), split.region_counts[rows])


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / max(whole, 1):.2g} %"
