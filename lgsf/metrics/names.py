"""The metrics of the benchmark, one row each: what tables call them, print, mark as best, plot and test follows from here.

A new one is a row here and the function of the same name in lgsf.metrics.recall. The two are apart so that neither a
label nor the order of a table is a reason to train or to rank anything again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from lgsf.system.errors import LgsfError

DIRECTION_WORDS = {"i2t": "image to text", "t2i": "text to image"}
TWIN = "twin_"  # accuracy over twins: a column for every kind of twin that the data hold


@dataclass(frozen=True, kw_only=True)
class Measure:
    """One number that follows from the ranks of a run.

    name      of the function; a directed measure has two columns, `i2t_<name>` and `t2i_<name>`
    label     how readers know it
    kind      a recall, their sum, or another function of the ranks; measures of a kind stand side by side, image to
              text before text to image, and lgsf.statistics can test recalls and their sum
    unit      "percent", or "" where a value stands for itself
    better    which end of the scale is good
    headline  it stands in every table of results
    key       one of the few that differences, effects, plots and published spreads are shown for: a recall or the sum
    primary   named in advance as the question that is asked; its tests are a family of their own
    """

    name: str
    label: str
    kind: Literal["recall", "sum", "rank"]
    directed: bool = True
    unit: Literal["percent", ""] = "percent"
    better: Literal["higher", "lower"] = "higher"
    headline: bool = False
    key: bool = False
    primary: bool = False


MEASURES = (
    Measure(name="r1", label="R@1", kind="recall", headline=True, key=True, primary=True),
    Measure(name="r5", label="R@5", kind="recall", headline=True),
    Measure(name="r10", label="R@10", kind="recall", headline=True),
    Measure(name="rsum", label="rSum", kind="sum", directed=False, unit="", headline=True, key=True),
    Measure(name="medr", label="median rank", kind="rank", unit="", better="lower"),
    Measure(name="meanr", label="mean rank", kind="rank", unit="", better="lower"),
)


@dataclass(frozen=True)
class Metric:
    """A column of the tables: a measure in one direction, or `direction` "" where it has none."""

    measure: Measure
    direction: str

    @property
    def name(self) -> str:
        return f"{self.direction}_{self.measure.name}" if self.direction else self.measure.name

    @property
    def label(self) -> str:
        return f"{self.direction} {self.measure.label}".lstrip()


def _columns() -> dict[str, Metric]:
    """Name -> metric, in the order of every table."""
    found: dict[str, Metric] = {}
    for kind in dict.fromkeys(measure.kind for measure in MEASURES):
        own = [measure for measure in MEASURES if measure.kind == kind]
        columns = [Metric(m, direction) for direction in DIRECTION_WORDS for m in own if m.directed]
        columns += [Metric(m, "") for m in own if not m.directed]
        found |= {metric.name: metric for metric in columns}
    return found


METRICS = _columns()
RANK_METRICS = tuple(METRICS)
RECALLS = tuple(name for name, metric in METRICS.items() if metric.measure.kind == "recall")
TESTED = tuple(name for name, metric in METRICS.items() if metric.measure.kind in ("recall", "sum"))
HEADLINE = tuple(name for name, metric in METRICS.items() if metric.measure.headline)
KEY_METRICS = tuple(name for name, metric in METRICS.items() if metric.measure.key)
PRIMARY = tuple(name for name, metric in METRICS.items() if metric.measure.primary)


def metric_label(name: str) -> str:
    """`i2t_r1` -> `i2t R@1`, `rsum` -> `rSum`, `twin_relation` -> `relation twins`; LgsfError for what has no row."""
    return f"{name.removeprefix(TWIN)} twins" if is_twin(name) else _known(name).label


def higher_is_better(name: str) -> bool:
    """False for ranks, of which the first is the best."""
    return is_twin(name) or _known(name).measure.better == "higher"


def in_percent(name: str) -> bool:
    """Whether a metric's values are percentages."""
    return is_twin(name) or _known(name).measure.unit == "percent"


def is_twin(name: str) -> bool:
    """Whether a metric is the accuracy over one kind of twins."""
    return name.startswith(TWIN)


def _known(name: str) -> Metric:
    if name not in METRICS:
        raise LgsfError(f"the metric {name!r} has no label: give it a row in lgsf/metrics/names.py.")
    return METRICS[name]
