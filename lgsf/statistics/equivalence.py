"""Does it matter at all? Two one-sided tests against a margin, and what a design can resolve.

TOST: Schuirmann, J. Pharmacokinet. Biopharm. 1987. The margin is half a point of R@K, three of rSum. A
standard error above 0.3 points cannot show equivalence at that margin however equal the systems are
(0.5 / 1.645 = 0.304), so the design is said to be too small instead of a test being reported as failed.
"""

from __future__ import annotations

import math

import numpy as np
from scipy.special import stdtr, stdtrit

from lgsf.statistics.outcomes import Floats
from lgsf.statistics.variance import Error

Numbers = float | Floats

MARGIN = np.array([0.5] * 6 + [3.0])  # rSum adds six recalls, so its margin adds six margins
RESOLVABLE = 0.6 * MARGIN  # 0.3 points
ALPHA, POWER = 0.05, 0.80


def tost(difference: Numbers, se: Numbers, df: Numbers, *, margin: Numbers = MARGIN) -> Floats:
    """p of the hypothesis that |true difference| >= margin; small means equivalent. Shapes broadcast."""
    d, s, m = (np.asarray(x, np.float64) for x in (difference, se, margin))
    # without any spread the difference is known: equivalent if and only if it lies inside the margin
    scale = np.where(s > 0, s, 1e-300)
    above = stdtr(df, -(d + m) / scale)
    below = stdtr(df, (d - m) / scale)
    return np.asarray(np.maximum(above, below), np.float64)


def smallest_detectable(se: Numbers, df: Numbers, *, alpha: float = ALPHA, power: float = POWER) -> Floats:
    """True difference that a two-sided test at `alpha` finds with chance `power`, given the standard error."""
    return np.asarray(-np.asarray(se) * (stdtrit(df, alpha / 2) + stdtrit(df, 1 - power)), np.float64)


def equivalence_words(difference: Floats, error: Error, n_images: int) -> list[str]:
    """One verdict per metric (7,): equivalent, not equivalent, not shown, or what the design would need."""
    words = []
    p = tost(difference, error.se, error.df)
    half_width = error.half_width(1 - 2 * ALPHA)
    for column in range(len(difference)):
        if p[column] < ALPHA:
            words.append("equivalent")
        elif abs(difference[column]) - half_width[column] > MARGIN[column]:
            words.append("not equivalent")
        elif error.se[column] > RESOLVABLE[column]:
            needed = design_needed(
                float(error.images[column]), float(error.seeds[column]), n_images, limit=float(RESOLVABLE[column])
            )
            words.append(f"not resolvable with this design ({needed})")
        else:
            words.append("not shown")
    return words


def design_needed(images: float, seeds: float, n_images: int, *, limit: float) -> str:
    """How many images would bring sqrt(images x n_images / N + seeds) down to `limit`; in words.

    Where the seeds' variance alone is above half of limit^2, seeds must be added first: it then says by what
    factor, such that they take half of it and images the other half.
    """
    budget = limit**2
    if seeds <= budget / 2:
        return f"needs about {_round_up(n_images * images / (budget - seeds))} images"
    factor = math.ceil(10 * seeds / (budget / 2)) / 10
    total = max(n_images, _round_up(n_images * images / (budget / 2)))
    return f"needs about {total} images and {factor:g} times the seeds"


def _round_up(n: float) -> int:
    """To two significant digits, upwards: the estimate is no better than that."""
    step = 10 ** max(math.floor(math.log10(max(n, 1.0))) - 1, 0)
    return int(math.ceil(n / step) * step)
