"""From ranks to Recall@K, rSum, and mean and median rank."""

from __future__ import annotations

import numpy as np

from lgsf.metrics.names import RECALL_AT
from lgsf.metrics.ranking import Ints


def metrics(i2t: Ints, t2i: Ints) -> dict[str, float]:
    """R@1/5/10 in percent for both directions, rSum (0..600), 1-based median and mean rank.

    R@K is the share of queries with a right candidate among the first K (elsewhere called hit rate).
    """
    out: dict[str, float] = {}
    for direction, ranks in (("i2t", np.asarray(i2t)), ("t2i", np.asarray(t2i))):
        for k in RECALL_AT:
            out[f"{direction}_r{k}"] = 100.0 * float((ranks < k).mean())
        out[f"{direction}_medr"] = float(np.floor(np.median(ranks))) + 1
        out[f"{direction}_meanr"] = float(ranks.mean()) + 1
    out["rsum"] = sum(out[f"{d}_r{k}"] for d in ("i2t", "t2i") for k in RECALL_AT)
    return out
