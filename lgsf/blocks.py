"""Tables of the report as plain cells: the same block becomes HTML and Markdown."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from lgsf.data.layout import SPLITS
from lgsf.formatting import (
    HEADLINE,
    NOTHING,
    decimal,
    duration,
    interval,
    kind_mark,
    listing,
    looks,
    metric_label,
    moment,
)  # fmt: skip
from lgsf.inputs import INPUTS, printed_inputs, single_models
from lgsf.statistics import format_p

DIFFERENCE_METRICS = ("i2t_r1", "t2i_r1", "rsum")
FACTS = {
    "images": "images",
    "captions": "captions",
    "mean_regions": "regions per image, mean",
    "n_regions": "regions per image, at most",
    "region_dim": "feature size",
    "objects": "objects drawn",
    "proposal_recall": "share of objects that a region covers",
    "true_pairs": "pairs of image and caption that are true",
    "false_negative_pairs": "of these counted as wrong (false negatives)",
    "false_negatives_i2t.queries": "images with a false negative",
    "false_negatives_i2t.mean": "false negatives per image",
    "false_negatives_t2i.queries": "captions with a false negative",
    "false_negatives_t2i.mean": "false negatives per caption",
}
MARKS = {"beats": "\u202f†", "is beaten by": "\u202f‡"}


@dataclass(frozen=True)
class Cell:
    """What is shown, a smaller second part, and the number to sort by where the text does not sort itself."""

    text: str
    minor: str = ""
    sort: float | None = None
    css: str = ""


@dataclass(frozen=True)
class Block:
    """A table; the first column names the row. `numeric` says which columns are numbers, `note` stands below."""

    id: str
    caption: str
    columns: tuple[str, ...]
    numeric: tuple[bool, ...]
    rows: tuple[tuple[Cell, ...], ...]
    note: str = ""


def value_cell(mean: float, sd: float, *, places: int = 1, sign: bool = False, css: str = "") -> Cell:
    """A mean with its SD behind it."""
    if math.isnan(mean):
        return Cell(NOTHING)
    minor = "" if math.isnan(sd) else f"± {decimal(sd, places)}"
    return Cell(decimal(mean, places, sign=sign), minor, float(mean), css)


def _table(
    id_: str, caption: str, names: Sequence[str], numeric_from: int, rows: Sequence[Sequence[Cell]], note: str = ""
) -> Block:
    numeric = tuple(index >= numeric_from for index in range(len(names)))
    return Block(id_, caption, tuple(names), numeric, tuple(tuple(row) for row in rows), note)


def _name(title: str, kind: str) -> Cell:
    return Cell(title, kind_mark(kind), css="control" if kind == "control" else "")


def _counted(n: int, expected: int) -> Cell:
    return Cell(f"{n}/{expected}", "" if n == expected else "incomplete", float(n), "" if n == expected else "warn")


def looks_cell(mean: float) -> Cell:
    """How often a run, and the tuning behind it, looked at dev."""
    return Cell(looks(mean), sort=_finite(mean))


def results_block(id_: str, caption: str, summary: pd.DataFrame, *, twins: bool = False) -> Block:
    """Method x metric of one dataset and protocol: mean ± SD over seeds; the best single model is marked.

    twins  show twin accuracies in place of the recalls
    """
    present = [str(m) for m in dict.fromkeys(summary["metric"])]
    metrics = [m for m in present if m.startswith("twin_")] if twins else list(HEADLINE)
    scores = single_models(summary)
    best = {m: scores.loc[scores["metric"] == m, "mean"].max() for m in metrics}
    inputs = printed_inputs(summary)
    rows = []
    for method in dict.fromkeys(summary["method"]):
        own = summary[summary["method"] == method].set_index("metric")
        first = own.loc["rsum"]
        cells = [_name(first["title"], first["kind"]), *(Cell(first[name] or NOTHING) for name in inputs.columns)]
        for metric in metrics:
            mean, sd = own.loc[metric, ["mean", "sd"]] if metric in own.index else (float("nan"), float("nan"))
            is_best = method in set(scores["method"]) and mean == best[metric]
            cells.append(value_cell(mean, sd, css="best" if is_best else ""))
        rows.append([*cells, looks_cell(first["dev_looks"]), _counted(int(first["n"]), int(first["expected"]))])
    names = ["method", *(INPUTS[name] for name in inputs.columns), *map(metric_label, metrics), "dev looks", "seeds"]
    return _table(id_, caption, names, 1 + len(inputs.columns), rows, inputs.note)


def differences_block(
    id_: str,
    caption: str,
    tests: pd.DataFrame,
    changes: pd.DataFrame,
    titles: Mapping[str, str],
    inputs: Mapping[str, str],
) -> Block:
    """Each method minus the reference: points, percent, 95 % interval and corrected p of the claim about methods.

    tests    rows of one dataset, protocol and reference with claim "methods" (lgsf.significance)
    changes  the same comparison from lgsf.tables.differences, for the looks at dev
    inputs   method -> which of its inputs differ from the reference's (lgsf.inputs.changed_inputs)
    """
    looked = changes.set_index(["method", "metric"])[["dev_looks", "dev_looks_reference"]].to_dict("index")
    names = ["method"]
    for metric in DIFFERENCE_METRICS:
        names += [f"Δ {metric_label(metric)}", "95 %", "p"]
    rows = []
    for method in dict.fromkeys(tests["method"]):
        own = tests[tests["method"] == method].set_index("metric").to_dict("index")
        cells = [Cell(titles[method], f"({inputs[method]})" if method in inputs else "")]
        for metric in DIFFERENCE_METRICS:
            row = own[metric]
            mark = MARKS.get(row["finding"], "")
            minor = "" if math.isnan(row["relative"]) else f"({decimal(row['relative'], sign=True)} %)"
            cells.append(Cell(decimal(row["difference"], sign=True) + mark, minor, _finite(row["difference"])))
            cells.append(Cell(interval(row["low"], row["high"]), sort=_finite(row["low"]), css="quiet"))
            cells.append(Cell(format_p(row["p_corrected"]), sort=_finite(row["p_corrected"]), css="quiet"))
        seeds = own["rsum"]["seeds"], own["rsum"]["seeds_other"]
        both = looked[method, "rsum"]
        own_looks, its_looks = both["dev_looks"], both["dev_looks_reference"]
        cells.append(Cell(f"{looks(own_looks)} / {looks(its_looks)}", sort=_finite(own_looks)))
        rows.append([*cells, Cell(f"{seeds[0]} / {seeds[1]}", sort=float(seeds[0]))])
    return _table(id_, caption, [*names, "dev looks", "seeds"], 1, rows)


def design_block(
    id_: str, caption: str, tests: pd.DataFrame, changes: pd.DataFrame, titles: Mapping[str, str]
) -> Block:
    """What the design can resolve, and what holds for these checkpoints alone; one row per method and metric.

    tests    rows of one dataset, protocol and reference, both claims
    changes  the same comparison from lgsf.tables.differences, for the SDs over seeds
    """
    spread = changes.set_index(["method", "metric"]).to_dict("index")
    by_claim = {claim: rows.set_index(["method", "metric"]).to_dict("index") for claim, rows in tests.groupby("claim")}
    rows = []
    chosen = tests[(tests["claim"] == "methods") & tests["metric"].isin(DIFFERENCE_METRICS)]
    for key in zip(chosen["method"], chosen["metric"], strict=True):
        method, metric = key
        row, these, sds = by_claim["methods"][key], by_claim["checkpoints"][key], spread[key]
        share = row["superiority"]
        rows.append(
            [
                Cell(titles[method]),
                Cell(metric_label(metric)),
                Cell(f"{decimal(sds['sd'])} / {decimal(sds['sd_reference'])}", sort=_finite(sds["sd"])),
                Cell(decimal(share, 2), sort=_finite(share)),
                Cell(decimal(row["detectable"]), sort=_finite(row["detectable"])),
                Cell(row["equivalence"], row["note"], css="prose"),
                Cell(interval(these["low"], these["high"]), sort=_finite(these["low"])),
                Cell(format_p(these["p_corrected"]), sort=_finite(these["p_corrected"])),
            ]
        )
    names = ["method", "metric", "SD own / reference", "seed pairs above", "smallest detectable Δ"]
    block = _table(id_, caption, [*names, "equivalent within the margin?", "these checkpoints: 95 %", "p"], 2, rows)
    return Block(
        block.id, block.caption, block.columns, (False, False, True, True, True, False, True, True), block.rows
    )


def cost_block(id_: str, caption: str, runs: pd.DataFrame) -> Block:
    """Mean training time, memory and size of each trained method of one dataset and protocol, beside its rSum."""
    rows = []
    for _, own in runs[(runs["kind"] != "control") & (runs["status"] == "finished")].groupby("method", sort=False):
        cost = own[["seconds", "peak_memory_mb", "peak_gpu_memory_mb", "parameters", "parameters_training_only"]].mean()
        rows.append(
            [
                Cell(own["title"].iloc[0]),
                Cell(duration(cost["seconds"]), sort=_finite(cost["seconds"])),
                value_cell(cost["peak_memory_mb"], float("nan"), places=0),
                value_cell(cost["peak_gpu_memory_mb"], float("nan"), places=0),
                value_cell(cost["parameters"], float("nan"), places=0),
                value_cell(cost["parameters_training_only"], float("nan"), places=0),
                looks_cell(own["dev_looks"].mean()),
                value_cell(own["rsum"].mean(), own["rsum"].std()),
            ]
        )
    names = [
        "method",
        "training time",
        "peak memory MiB",
        "peak GPU memory MiB",
        "parameters",
        "training only",
        "dev looks",
        "rSum",
    ]
    return _table(id_, caption, names, 1, rows)


def every_run_block(id_: str, caption: str, runs: pd.DataFrame) -> Block:
    """One row per run of one dataset and protocol: nothing averaged, nothing left out."""
    rows = []
    for run in runs.to_dict("records"):
        numbers = [value_cell(run[metric], float("nan"), places=2 if metric != "rsum" else 1) for metric in HEADLINE]
        css = "" if run["status"] == "finished" else "warn"
        best = Cell(decimal(run["best_epoch"], 0), sort=_finite(run["best_epoch"]))
        seed, status = Cell(str(run["seed"]), sort=float(run["seed"])), Cell(run["status"], css=css)
        rows.append([_name(run["title"], run["kind"]), seed, status, *numbers, best, looks_cell(run["dev_looks"])])
    names = ["method", "seed", "status", *map(metric_label, HEADLINE), "best epoch", "dev looks"]
    block = _table(id_, caption, names, 3, rows)
    return Block(block.id, block.caption, block.columns, (False, True, False, *block.numeric[3:]), block.rows)


def absent_block(id_: str, caption: str, runs: pd.DataFrame) -> Block:
    """Failed and missing runs with their reasons."""
    absent = runs[runs["status"] != "finished"].drop_duplicates(["dataset", "method", "seed"])
    rows = [
        [Cell(run["title"]), Cell(run["dataset"]), Cell(str(run["seed"]), sort=float(run["seed"])),
         Cell(run["status"], css="warn"), Cell(run["reason"], css="prose")]
        for run in absent.to_dict("records")
    ]  # fmt: skip
    return _table(id_, caption, ["method", "dataset", "seed", "status", "reason"], 5, rows)


def provenance_block(id_: str, caption: str, runs: pd.DataFrame) -> Block:
    """When and where every finished run was made, and whether it was interrupted."""
    rows = [
        [
            Cell(run["folder"]),
            Cell(run["device"], css="prose"),
            *(Cell(moment(run[name])) for name in ("started", "ended")),
            Cell(duration(run["seconds"]), sort=_finite(run["seconds"])),
            Cell(decimal(run["resumed"], 0), sort=_finite(run["resumed"])),
        ]
        for run in _finished(runs)
    ]
    return _table(id_, caption, ["run", "device", "started (UTC)", "ended (UTC)", "training", "resumed"], 4, rows)


def checksum_block(id_: str, caption: str, runs: pd.DataFrame) -> Block:
    """Code, configuration, dataset and ranks of every finished run, each by its hash."""
    rows = []
    for run in _finished(runs):
        commit = run["git_commit"] if isinstance(run["git_commit"], str) else NOTHING
        changed = "and uncommitted changes" if run["git_dirty"] is True else ""
        hashes = (_hash(run[name]) for name in ("config_sha256", "dataset_sha256", "ranks_sha256"))
        rows.append([Cell(run["folder"]), Cell(commit, changed, css="hash"), *hashes])
    names = ["run", "git commit", "config sha256", "dataset.json sha256", "test ranks.npz sha256"]
    return _table(id_, caption, names, 5, rows)


def _finished(runs: pd.DataFrame) -> list[dict[Hashable, Any]]:
    """Records of finished runs, each once whatever its protocols, with the name of its folder."""
    once = runs[runs["status"] == "finished"].drop_duplicates(["dataset", "method", "seed"])
    folder = once["dataset"] + "/" + once["method"] + "/seed" + once["seed"].astype(str)
    return once.assign(folder=folder).to_dict("records")


def data_block(id_: str, caption: str, splits: Mapping[str, Mapping[str, Any]]) -> Block:
    """Every number that the manifest knows of the splits: one row per fact, one column per split."""
    facts = {split: flatten_numbers(splits[split]) for split in SPLITS if split in splits}
    found = dict.fromkeys(key for values in facts.values() for key in values)
    rows = []
    for name in [*(key for key in FACTS if key in found), *(key for key in found if key not in FACTS)]:
        cells = [Cell(FACTS.get(name, _plain(name)))]
        for values in facts.values():
            value = values.get(name, math.nan)
            places = 0 if value.is_integer() else 2 if abs(value) < 10 else 1
            cells.append(Cell(decimal(value, places), sort=_finite(value)))
        rows.append(cells)
    return _table(id_, caption, ["fact", *facts], 1, rows)


def _plain(name: str) -> str:
    """`captions_per_image.5` -> `captions per image: 5`."""
    return name.replace("_", " ").replace(".", ": ")


def flatten_numbers(values: Mapping[str, Any], prefix: str = "") -> dict[str, float]:
    """Numbers of a nested mapping under dotted names; text, flags and hashes are left out."""
    out: dict[str, float] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            out |= flatten_numbers(value, f"{prefix}{key}.")
        elif isinstance(value, int | float) and not isinstance(value, bool):
            out[prefix + key] = float(value)
    return out


def package_sentences(environments: dict[tuple[tuple[str, str], ...], list[str]]) -> list[str]:
    """`torch 2.8.0, numpy 2.1.0: 12 runs` for every distinct set of versions, with the runs where there are several."""
    sentences = []
    for versions, names in environments.items():
        packages = listing([f"{name} {version}" for name, version in versions])
        who = f"all {len(names)} finished runs" if len(environments) == 1 else ", ".join(names)
        sentences.append(f"{packages} – {who}.")
    return sentences


def _hash(value: object) -> Cell:
    return Cell(value if isinstance(value, str) else NOTHING, css="hash")


def _finite(value: float) -> float | None:
    return None if pd.isna(value) else float(value)
