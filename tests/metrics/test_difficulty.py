"""Who finds which query, by hand."""

from __future__ import annotations

import numpy as np

from lgsf.metrics.difficulty import found_alone, found_by

A = [np.array([0, 0, 3, 9]), np.array([0, 1, 3, 9])]  # two seeds of one method, ranks of four queries
B = [np.array([0, 2, 0, 9])]


def test_found_by() -> None:
    # Query 0 by three runs, query 1 by one, query 2 by one, query 3 by none.
    assert found_by([*A, *B], k=1).tolist() == [25.0, 50.0, 0.0, 25.0]
    assert found_by([*A, *B], k=10).tolist() == [0.0, 0.0, 0.0, 100.0]


def test_found_alone() -> None:
    assert found_alone({"a": A, "b": B}, k=1) == {"a": 25.0, "b": 25.0}  # query 1 and query 2
    assert found_alone({"a": A, "b": B}, k=10) == {"a": 0.0, "b": 0.0}
