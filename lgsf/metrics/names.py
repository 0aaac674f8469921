"""Names of the recalls, in the order of every table."""

from __future__ import annotations

RECALL_AT = (1, 5, 10)


RECALLS = ("i2t_r1", "i2t_r5", "i2t_r10", "t2i_r1", "t2i_r5", "t2i_r10")


HEADLINE = (*RECALLS, "rsum")
