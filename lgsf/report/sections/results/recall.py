"""R@K over K: a line for every method, and the same numbers as a table."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from lgsf.metrics.names import DIRECTION_WORDS
from lgsf.metrics.relevance import DIRECTIONS
from lgsf.render.block import Block, Cell, Column, table_block, words
from lgsf.render.curves import Curve, colour, curve_plot
from lgsf.render.flow import Details, Figures, Paragraph
from lgsf.render.numbers import decimal
from lgsf.render.plots import Plot, outside, padded
from lgsf.report.collected import Collected
from lgsf.report.section import Section
from lgsf.runs.ranks import read_ranks

RankPair = tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]  # i2t, t2i
KS = (1, 2, 5, 10, 20, 50, 100)
SAID = "Mean over seeds; K grows by factors. Lines that cross say that an order of methods depends on K."


def section(found: Collected, dataset: str) -> Section | None:
    """R@K of the first protocol; None where no trained run has finished."""
    protocol = found.protocols(dataset)[0]
    ranks: dict[str, list[RankPair]] = {}
    for run in found.trained(dataset):
        own = read_ranks(run.folder)
        pair = (own.i2t, own.t2i) if protocol == "full" else (own.i2t_fold, own.t2i_fold)
        ranks.setdefault(run.method, []).append(pair)
    if not ranks:
        return None
    table = recall_block(f"{dataset}-recall", f"R@K on {dataset}, percent, mean over seeds", ranks, found.titles)
    items = (
        Paragraph(SAID, css="note", page_only=True),
        Figures(tuple(recall_plots(dataset, ranks, found.titles, found.subject)), listed=True),
        Details("R@K as a table", (table,)),
    )
    return Section(f"{dataset}-recall-section", found.titled("Recall over K", dataset), nav="Recall", items=items)


def recall_at(seeds: Sequence[RankPair], column: int, k: int) -> float:
    """Percent of queries of one direction with a right candidate among the first k, mean over seeds."""
    return float(np.mean([100 * (pair[column] < k).mean() for pair in seeds]))


def recall_block(id_: str, caption: str, ranks: Mapping[str, Sequence[RankPair]], titles: Mapping[str, str]) -> Block:
    """Method x (direction, K)."""
    ks = [k for k in KS if k <= _limit(ranks)]
    rows = []
    for method, seeds in ranks.items():
        values = [recall_at(seeds, column, k) for column in range(len(DIRECTIONS)) for k in ks]
        rows.append([Cell(titles[method]), *(Cell(decimal(value), sort=value) for value in values)])
    columns = [Column(f"{d} R@{k}", True, DIRECTION_WORDS[d], f"R@{k}") for d in DIRECTIONS for k in ks]
    return table_block(id_, caption, [*words("method"), *columns], rows)


def recall_plots(
    prefix: str, ranks: Mapping[str, Sequence[RankPair]], titles: Mapping[str, str], subject: str
) -> list[Plot]:
    """R@K over K (log scale, up to 100), mean over seeds: one line per method, the subject first.

    ranks  method -> (i2t, t2i) 0-based ranks of each finished seed
    """
    order = sorted(ranks, key=lambda method: method != subject)
    limit = _limit(ranks)
    steps = sorted({round(limit ** (k / 24)) for k in range(25)})
    plots = []
    for column, direction in enumerate(DIRECTIONS):
        curves = [
            Curve(
                titles[method],
                [(math.log10(k), recall_at(ranks[method], column, k)) for k in steps],
                css=colour(number),
            )
            for number, method in enumerate(order)
        ]
        far = outside({method: recall_at(ranks[method], column, 1) for method in order}, keep={subject})
        values = [y for method, curve in zip(order, curves, strict=True) for _, y in curve.points if method not in far]
        said = "; ".join(
            f"{titles[method]} "
            + ", ".join(f"R@{k} {recall_at(ranks[method], column, k):.1f}" for k in KS if k <= limit)
            for method in order
        )
        plots.append(
            curve_plot(f"{prefix}-recall-{direction}", f"{direction} R@K, percent", curves, axes=("K", ""),
                       domain=((0.0, math.log10(limit) or 1.0), (padded(values)[0], 100.0)),
                       description=f"{direction} recall over K, mean over seeds: {said}.",
                       x_ticks={math.log10(k): str(k) for k in KS if k <= limit},
                       x_text={math.log10(k): str(k) for k in steps}, height=260.0)
        )  # fmt: skip
    return plots


def _limit(ranks: Mapping[str, Sequence[RankPair]]) -> int:
    """The last K of interest: 100, or the place of the worst answer of all."""
    return min(100, max(int(own.max()) + 1 for seeds in ranks.values() for pair in seeds for own in pair))
