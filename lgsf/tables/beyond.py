"""Beyond R@K, as one tidy table: exact and verified relevance, agreement with people, hubs, difficulty of queries.

These are sensitivity analyses: they ask whether an order of methods survives another idea of what is right. All
comes from the runs' ranks.npz, top.npz and relevance.npz, and always against the whole test split as gallery.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from lgsf.data.positives import SETS
from lgsf.metrics.difficulty import RECALL_AT, found_alone, found_by
from lgsf.metrics.hubness import hubness
from lgsf.metrics.relevance import DIRECTIONS, measures
from lgsf.runs.beside.relevance import FILE, read_relevance
from lgsf.runs.names import APART, EVALUATE_AGAIN, SPLIT
from lgsf.runs.origin import read_evaluated
from lgsf.runs.ranks import JUDGED_ARRAYS, TWIN, Ranks
from lgsf.statistics.agreement import agreement
from lgsf.system.errors import LgsfError
from lgsf.tables.finished import Finished

COLUMNS = ("dataset", "method", "title", "kind", "seed", "what", "direction", "metric", "value", "low", "high", "n", "note")  # fmt: skip
PEOPLE = "people_"
NOT_SINGLE = (*APART, "ensemble")  # an ensemble finds what its members find
OLDER = f"the run was evaluated before this was measured: {EVALUATE_AGAIN}"
Row = dict[str, Any]
Arrays = Mapping[str, npt.NDArray[Any]]


def collect_beyond(runs: pd.DataFrame, finished: Finished) -> pd.DataFrame:
    """One row per number; `runs` as lgsf.tables.collect.collect gives them.

    what       true, eccv, cxc (lgsf.data.positives); people_<kind> of judgement; hubs; difficulty
    direction  i2t or t2i; empty for people
    metric     r1, r5, r10, r_precision, map_at_r (percent), positives (mean per query); tau_b; skewness_10,
               antihubs_10 (percent); of difficulty: by_<m>_r<k>, percent of queries that exactly m of all runs
               find, without a method, and alone_r<k>, percent that no other method finds, without a seed
    low, high  95 % interval over images, for tau_b
    n          queries, judged pairs, or candidates (hubs)
    note       why there is no value; the metric is then empty

    Raises LgsfError for broken files, never for a run that lacks one.
    """
    rows: list[Row] = []
    done = runs[runs["status"] == "finished"]
    for dataset, group in done.groupby("dataset", sort=False):
        ranks: dict[str, list[Ranks]] = {}
        titles = {}
        for run in group.drop_duplicates(["method", "seed"]).to_dict("records"):
            identity = {name: run[name] for name in ("dataset", "method", "title", "kind", "seed")}
            who = str(dataset), str(run["method"]), int(run["seed"])
            folder, own = finished.folder(*who) / SPLIT, finished.ranks(*who)
            found = (*_relevance(folder), *_from_top(folder, own))
            rows += [identity | row for row in found]
            if run["kind"] not in NOT_SINGLE:
                ranks.setdefault(run["method"], []).append(own)
                titles[run["method"]] = {name: run[name] for name in ("title", "kind")}
        rows += [{"dataset": dataset, "method": "", "title": "", "kind": "", **row} for row in _found_by(ranks)]
        rows += [{"dataset": dataset, **titles[row["method"]], **row} for row in _found_alone(ranks)]
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    table[["value", "low", "high", "n"]] = table[["value", "low", "high", "n"]].astype(np.float64)
    table["seed"] = table["seed"].astype("Int64")
    text = [name for name in COLUMNS if name not in ("seed", "value", "low", "high", "n")]
    table[text] = table[text].fillna("").astype(str)
    return table


def _relevance(folder: Path) -> Iterator[Row]:
    if not (folder / FILE).is_file():
        yield from ({"what": what, "note": OLDER} for what in SETS)
        return
    relevance = read_relevance(folder)
    yield from ({"what": what, "note": reason} for what, reason in relevance.absent.items())
    for what, sides in relevance.sets.items():
        for direction in DIRECTIONS:
            query, rank = sides[direction]
            n = len(np.unique(query))
            values = measures(query, rank) | {"positives": len(query) / n if n else float("nan")}
            for metric, value in values.items():
                yield {"what": what, "direction": direction, "metric": metric, "value": value, "n": n}


def _from_top(folder: Path, ranks: Ranks) -> Iterator[Row]:
    """Hubs and agreement with people."""
    if not (folder / "top.npz").is_file():
        yield {"what": "hubs", "note": OLDER}
        return
    top = read_evaluated(folder, "top.npz")
    candidates = {"i2t": len(ranks.t2i), "t2i": len(ranks.i2t)}
    for direction, n in candidates.items():
        if direction not in top:
            yield {"what": "hubs", "direction": direction, "note": OLDER}
            continue
        for metric, value in hubness(top[direction], n).items():
            yield {"what": "hubs", "direction": direction, "metric": metric, "value": value, "n": n}
    yield from _people(folder / "top.npz", top, ranks)


def _people(path: Path, top: Arrays, ranks: Ranks) -> Iterator[Row]:
    """τ_b of each kind of human judgement; an image's own captions, which everybody rates high, are left out."""
    if JUDGED_ARRAYS[0] not in top:
        return
    if any(name not in top or len(top[name]) != len(top[JUDGED_ARRAYS[0]]) for name in JUDGED_ARRAYS):
        raise LgsfError(f"{path}: the judged arrays are not complete and equally long: {EVALUATE_AGAIN}.")
    kinds = top["judged_kind"].astype(str)
    other = ranks.caption_image[top["judged_caption"]] != top["judged_image"]
    for kind in sorted(kind for kind in set(kinds.tolist()) if not kind.endswith(TWIN)):
        rows = (kinds == kind) & other
        found = agreement(top["judged_score"][rows], top["judged_grade"][rows], top["judged_image"][rows])
        values = {"value": found.tau, "low": found.low, "high": found.high, "n": found.pairs}
        yield {"what": f"{PEOPLE}{kind}", "direction": "", "metric": "tau_b", **values}


def _sides(ranks: Mapping[str, list[Ranks]]) -> Iterator[tuple[str, dict[str, list[npt.NDArray[np.int32]]]]]:
    yield "i2t", {method: [run.i2t for run in own] for method, own in ranks.items()}
    yield "t2i", {method: [run.t2i for run in own] for method, own in ranks.items()}


def _found_by(ranks: Mapping[str, list[Ranks]]) -> Iterator[Row]:
    if not ranks:
        return
    for direction, sides in _sides(ranks):
        every = [own for runs in sides.values() for own in runs]
        for k in RECALL_AT:
            for m, value in enumerate(found_by(every, k=k)):
                metric = {"metric": f"by_{m}_r{k}", "value": value, "n": len(every[0])}
                yield {"what": "difficulty", "direction": direction, **metric}


def _found_alone(ranks: Mapping[str, list[Ranks]]) -> Iterator[Row]:
    if len(ranks) < 2:
        return
    for direction, sides in _sides(ranks):
        for k in RECALL_AT:
            for method, value in found_alone(sides, k=k).items():
                metric = {"metric": f"alone_r{k}", "value": value, "n": len(sides[method][0])}
                yield {"what": "difficulty", "method": method, "direction": direction, **metric}
