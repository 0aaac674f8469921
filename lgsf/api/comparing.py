"""Runs beside each other: mean and spread over seeds, and what a test over seeds and images says of the differences."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

import pandas as pd

from lgsf.api.ranking import Ranked
from lgsf.metrics.names import HEADLINE, KEY_METRICS, metric_label
from lgsf.metrics.recall import metrics
from lgsf.render.numbers import decimal, interval, mean_sd
from lgsf.runs.facts import read_facts
from lgsf.runs.names import SPLIT
from lgsf.runs.ranks import Ranks, read_ranks
from lgsf.runs.record import FILE
from lgsf.statistics import LEAST_SEEDS, format_p, method_tests
from lgsf.statistics.outcomes import ProtocolName
from lgsf.system.errors import LgsfError
from lgsf.system.given import given_path


@runtime_checkable
class InFolder(Protocol):
    """A run that was opened, by the one thing that is asked of it here: nothing waits for torch."""

    @property
    def folder(self) -> Path: ...


Folder = str | Path | InFolder
One = Folder | Ranked | Ranks
RESAMPLES = 10_000


@dataclass(frozen=True, repr=False)
class Comparison:
    """What `compare` found.

    summary    a row per method: how many runs, and "mean ± SD" of each metric, percent (rSum: the sum of six)
    values     a row per run: method, run and every metric as a number
    tests      a row per scope, method and metric against the reference, as lgsf.statistics.tests.COLUMNS has it;
               None where there is one method alone
    reference  the method that differences are taken against
    """

    summary: pd.DataFrame
    values: pd.DataFrame
    tests: pd.DataFrame | None
    reference: str

    @property
    def findings(self) -> list[str]:
        """One sentence for every method and key metric; only three seeds of both methods let one say "beats"."""
        if self.tests is None:
            return []
        rows = []
        for _, pair in self.tests[self.tests["metric"].isin(KEY_METRICS)].groupby(["method", "metric"], sort=False):
            tested = pair[pair["scope"] == "methods"].iloc[0]
            enough = min(tested["seeds"], tested["seeds_other"]) >= LEAST_SEEDS
            row = tested if enough else pair[pair["scope"] == "checkpoints"].iloc[0]
            about = "" if enough else " (these trained models alone; three seeds of both are needed for more)"
            rows.append(
                f"{row['method']} against {row['other']}, {metric_label(str(row['metric']))}: {row['finding']}, "
                f"{decimal(float(row['difference']), sign=True)} ({interval(float(row['low']), float(row['high']))}), "
                f"corrected p {format_p(float(row['p_corrected']))}{about}"
            )
        return rows

    def __repr__(self) -> str:
        return "\n".join([self.summary.to_string(index=False), *self.findings])

    def _repr_html_(self) -> str:
        items = "".join(f"<li>{html.escape(sentence)}</li>" for sentence in self.findings)
        return self.summary.to_html(index=False) + (f"<ul>{items}</ul>" if items else "")


def compare(
    runs: Folder | Sequence[Folder] | Mapping[str, One | Sequence[One]],
    *,
    reference: str | None = None,
    protocol: ProtocolName | None = None,
    resamples: int = RESAMPLES,
) -> Comparison:
    """Compare methods by the ranks of their runs on the test split.

    runs       a folder of runs (`results/scenes`: everything evaluated in it), a list of runs, or a name for each
               method with its runs, one per seed; a run is its folder, what `lgsf.load_run` opened, or what `lgsf.rank`
               gave
    reference  the method that the others are tested against; the first one without it
    protocol   "full": the whole gallery; "folds": each query's own fold; the latter where the runs have folds
    resamples  of bootstrap and randomisation test

    >>> lgsf.compare("results/scenes", reference="vsepp_warm")
    >>> lgsf.compare({"lgsf": ["results/scenes/lgsf/seed0"], "mine": lgsf.rank(scores, test)}, reference="mine")

    Raises LgsfError where a run is absent, damaged, counted twice, or answered other queries than the rest.
    """
    named = _named(runs)
    ranks = {name: [_ranks(one) for one in group] for name, group in named.items()}
    everything = [own for group in ranks.values() for own in group]
    if not everything:
        raise LgsfError("there is no run to compare: name at least one.")
    protocols = {own.protocol for own in everything if isinstance(own, Ranks)}
    if len(protocols) > 1:
        raise LgsfError("these runs were ranked under different protocols: evaluate the older ones again.")
    if protocol is None:
        protocol = "folds" if all(own.folds > 1 for own in everything) else "full"
    reference = next(iter(ranks)) if reference is None else reference
    tests = method_tests(ranks, reference, protocol=protocol, resamples=resamples) if len(ranks) > 1 else None
    values = pd.DataFrame(
        {"method": name, "run": number, **_metrics(own, protocol)}
        for name, group in ranks.items()
        for number, own in enumerate(group)
    )
    summary = pd.DataFrame(
        {"method": name, "runs": len(group)}
        | {metric_label(m): mean_sd(float(group[m].mean()), float(group[m].std(ddof=1))) for m in HEADLINE}
        for name, group in values.groupby("method", sort=False)
    )
    return Comparison(summary, values, tests, reference)


def _metrics(ranks: Ranks | Ranked, protocol: ProtocolName) -> dict[str, float]:
    return metrics(ranks.i2t, ranks.t2i) if protocol == "full" else metrics(ranks.i2t_fold, ranks.t2i_fold)


def _named(runs: Folder | Sequence[Folder] | Mapping[str, One | Sequence[One]]) -> dict[str, list[One]]:
    """Method -> its runs; LgsfError where a folder holds no run, or a run stands there twice."""
    named: dict[str, list[One]] = {}
    if isinstance(runs, Mapping):
        named = {name: [own] if isinstance(own, One) else list(own) for name, own in runs.items()}
    else:
        listed: Sequence[Folder]
        if isinstance(runs, str | Path):
            listed = _below(given_path(runs))
        else:
            listed = [runs] if isinstance(runs, InFolder) else list(runs)
        for one in listed:
            named.setdefault(read_facts(_folder(one)).method, []).append(one)
    ranked = (Ranked, Ranks)
    folders = [_folder(one).resolve() for group in named.values() for one in group if not isinstance(one, ranked)]
    if twice := [folder for folder in folders if folders.count(folder) > 1]:
        raise LgsfError(f"{twice[0]} is named twice: a run that is counted twice is no second seed.")
    datasets = {read_facts(folder).dataset_sha256: folder for folder in folders}
    if len(datasets) > 1:
        one_, other = list(datasets.values())[:2]
        raise LgsfError(f"{one_} and {other} were made from different data, or versions of it: compare runs of one.")
    return named


def _below(folder: Path) -> list[Path]:
    """The evaluated runs of a folder, at any depth."""
    found = [path.parent for path in sorted(folder.glob(f"**/seed*/{FILE}"))]
    evaluated = [run for run in found if (run / SPLIT / "ranks.npz").is_file()]
    if not evaluated:
        raise LgsfError(
            f"{folder} holds no evaluated run: name the results of one dataset, or train and evaluate first."
        )
    return evaluated


def _folder(one: object) -> Path:
    """Where a run lies; LgsfError for what is no run."""
    if isinstance(one, str | Path):
        return given_path(one)
    if isinstance(one, InFolder):
        return one.folder
    raise LgsfError(
        f"compare takes runs: folders, what lgsf.load_run opened and what lgsf.rank gave, not {type(one).__name__}."
    )


def _ranks(one: One) -> Ranks | Ranked:
    return one if isinstance(one, Ranks | Ranked) else read_ranks(_folder(one))
