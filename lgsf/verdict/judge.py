"""A whole experiment beside the published numbers and the claim, from the table of its runs."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any, Literal, cast

import numpy as np
import pandas as pd

from lgsf.config.experiment import SUBJECT, Experiment
from lgsf.metrics.names import KEY_METRICS
from lgsf.runs.names import UNKNOWN
from lgsf.tables.collect import GROUP
from lgsf.verdict.claim import CLAIM, untestable
from lgsf.verdict.published import FIRST_FOLD, FIVE_FOLDS, Published, Spread
from lgsf.verdict.rule import CLAIM_COLUMNS, VERDICT_COLUMNS, Own, claim_table, published_protocol, verdict_table

NOT_APPLICABLE = "n/a"
CLAIMS_COLUMNS = ("dataset", *CLAIM_COLUMNS, "reason")
NO_REFERENCE = "name the method that the gains are over with --reference"


def judge(
    experiment: Experiment, runs: pd.DataFrame, rows: Sequence[Published], spread: Sequence[Spread]
) -> pd.DataFrame:
    """Every method that the configuration gives a published key beside the rows of that key (VERDICT_COLUMNS).

    runs  as lgsf.tables.collect.collect gives them

    A method meets the rows of its own protocol; where there is none, all rows of its key, each with the reason
    why it is not comparable.
    """
    tables = [verdict_table([own], _candidates(own, rows), spread) for own in own_runs(experiment, runs)]
    full = [table for table in tables if len(table)]
    return pd.concat(full, ignore_index=True) if full else pd.DataFrame(columns=list(VERDICT_COLUMNS))


def own_runs(experiment: Experiment, runs: pd.DataFrame) -> Iterator[Own]:
    """The finished runs of every method with a published key, per dataset and protocol that has published rows."""
    keys = {method.name: method.published for method in experiment.methods if method.published}
    finished = runs[(runs["status"] == "finished") & runs["method"].isin(list(keys))]
    for (dataset, name, method), group in finished.groupby(GROUP, sort=False):
        protocol, why_not = _protocol(str(dataset), group.iloc[0], str(name))
        if protocol is None:
            continue
        first = group.iloc[0]
        yield Own(
            dataset=str(dataset),
            method=str(method),
            key=keys[str(method)],
            protocol=protocol,
            why_not=why_not,
            text=first["text"],
            visual=first["visual"],
            ensemble={"yes": True, "no": False, UNKNOWN: None}[first["ensemble"]],
            values={metric: group[metric].tolist() for metric in KEY_METRICS},
        )


def unjudged(experiment: Experiment, runs: pd.DataFrame, dataset: str) -> str:
    """Why nothing of a dataset is compared with published numbers."""
    here = runs[(runs["dataset"] == dataset) & (runs["status"] == "finished") & (runs["kind"] != "control")]
    if here.empty:
        return f"no run on {dataset} has finished"
    reasons = [_protocol(dataset, row, row["protocol"]) for _, row in here.drop_duplicates("protocol").iterrows()]
    if all(protocol is None for protocol, _ in reasons):
        return reasons[0][1]
    return "no method with a finished run has a published key in the configuration"


def claims(experiment: Experiment, runs: pd.DataFrame, tests: pd.DataFrame | None) -> pd.DataFrame:
    """The paper's claim in both readings beside our differences, per dataset and reference (CLAIMS_COLUMNS).

    tests  as lgsf.tables.tests.experiment_tests makes them, or None where no reference was named

    Where the claim cannot be tested the verdict is n/a, `reason` says why, and no number stands beside it.
    """
    tables = []
    for dataset in experiment.datasets:
        reason = _untestable(experiment, runs, dataset) or (NO_REFERENCE if tests is None else None)
        found = []
        if reason is None and tests is not None:
            here = tests[(tests["dataset"] == dataset) & (tests["protocol"] == "folds")]
            here = here[here["method"] == SUBJECT]
            found = [
                claim_table(own, method=SUBJECT, reference=str(reference)).assign(reason="")
                for reference, own in here.groupby("reference", sort=False)
            ]
            reason = f"{SUBJECT} and the reference need a finished run each"
        tables += [table.assign(dataset=dataset) for table in found or [_no_claim(str(reason))]]
    return pd.concat(tables, ignore_index=True)[list(CLAIMS_COLUMNS)]


def _candidates(own: Own, rows: Sequence[Published]) -> list[Published]:
    """Published rows to hold a method against; five folds and the first fold are shown beside each other."""
    mine = [row for row in rows if row.key == own.key]
    near = {FIVE_FOLDS, FIRST_FOLD} if own.protocol == FIRST_FOLD else {own.protocol}
    return [row for row in mine if row.protocol in near] or mine


def _protocol(dataset: str, run: pd.Series[Any], protocol: str) -> tuple[str | None, str]:
    folds = int(json.loads(run["evaluation"])["folds"])
    return published_protocol(
        dataset, images=int(run["images"]), folds=folds, protocol=cast(Literal["full", "folds"], protocol)
    )


def _untestable(experiment: Experiment, runs: pd.DataFrame, dataset: str) -> str | None:
    if SUBJECT not in {method.name for method in experiment.methods}:
        return f"{SUBJECT} is not among the methods"
    finished = runs[(runs["dataset"] == dataset) & (runs["status"] == "finished")]
    data: dict[str, Any] = {}
    if len(finished):
        first = finished.iloc[0]
        folds = json.loads(first["evaluation"])["folds"]
        data = {"splits": {"test": {"images": int(first["images"])}}, "protocol": {"folds": folds}}
    return untestable(dataset, data)


def _no_claim(reason: str) -> pd.DataFrame:
    lines = [
        {"method": SUBJECT, "reference": "", "metric": metric, "task": task, "reading": reading, "claimed": gain}
        | {"measured": np.nan, "low": np.nan, "high": np.nan, "seeds": 0, "seeds_reference": 0}
        | {"verdict": NOT_APPLICABLE, "reason": reason}
        for metric, (task, gain) in CLAIM.items()
        for reading in ("relative", "absolute")
    ]
    return pd.DataFrame(lines)
