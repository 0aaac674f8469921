"""Can a difference be believed? Tests and intervals that respect images, captions and seeds, from ranks.

table = method_tests({"lgsf": runs, "base": others}, reference="base")
"""

from lgsf.statistics.bootstrap import bootstrap_recalls, percentile_interval
from lgsf.statistics.corrections import benjamini_hochberg, holm
from lgsf.statistics.equivalence import design_needed, equivalence_words, smallest_detectable, tost
from lgsf.statistics.factorial import (
    EFFECT_COLUMNS,
    combinations,
    effect_weights,
    factorial_effects,
    missing_cells,
)
from lgsf.statistics.outcomes import Outcomes, ProtocolName, Ranks, outcomes
from lgsf.statistics.randomisation import McNemar, mcnemar, randomisation_p, signed_recalls
from lgsf.statistics.tests import COLUMNS, LEAST_SEEDS, finding, format_p, method_tests
from lgsf.statistics.variance import Error, VarianceTable

__all__ = [
    "COLUMNS",
    "EFFECT_COLUMNS",
    "LEAST_SEEDS",
    "Error",
    "McNemar",
    "Outcomes",
    "ProtocolName",
    "Ranks",
    "VarianceTable",
    "benjamini_hochberg",
    "bootstrap_recalls",
    "combinations",
    "design_needed",
    "effect_weights",
    "equivalence_words",
    "factorial_effects",
    "finding",
    "format_p",
    "holm",
    "mcnemar",
    "method_tests",
    "missing_cells",
    "outcomes",
    "percentile_interval",
    "randomisation_p",
    "signed_recalls",
    "smallest_detectable",
    "tost",
]  # fmt: skip
