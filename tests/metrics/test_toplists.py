"""Lists of the best candidates against a slow version: all ties by id, whatever the blocks and however many come."""

from __future__ import annotations

import numpy as np
import pytest

from lgsf.metrics import toplists
from lgsf.metrics.toplists import RunningTop, best_of_rows


def slow(rows: np.ndarray, k: int) -> list[list[int]]:
    """One row after the other, by the words of the definition."""
    return [sorted(range(len(row)), key=lambda i, row=row: (-row[i], i))[:k] for row in rows.tolist()]


def matrices(n: int, width: int) -> dict[str, np.ndarray]:
    random = np.random.default_rng(n)
    ascending = np.sort(random.standard_normal((n, width)).astype(np.float32), axis=1)
    return {
        "different": random.standard_normal((n, width)).astype(np.float32),
        "many ties": random.integers(0, 7, (n, width)).astype(np.float32),
        "all equal": np.zeros((n, width), np.float32),
        "float64": random.standard_normal((n, width)),
        "ever better": ascending,
        "ever worse": ascending[:, ::-1].copy(),
        "negative zero": np.where(random.random((n, width)) < 0.5, -0.0, 0.0).astype(np.float32),
    }


@pytest.mark.parametrize("kind", matrices(1, 1))
@pytest.mark.parametrize(("width", "k"), [(5, 5), (37, 1), (500, 10), (700, 100)])
def test_rows_and_running_lists_equal_the_slow_version(kind: str, width: int, k: int) -> None:
    matrix = matrices(9, width)[kind]
    wanted = slow(matrix, k)
    ids, values = best_of_rows(matrix, k)
    assert ids.tolist() == wanted and ids.dtype == np.int32
    assert values.dtype == matrix.dtype
    np.testing.assert_array_equal(values, np.take_along_axis(matrix, ids, 1))
    for rows in (1, 3, 128, width):
        running = RunningTop(9, k)
        for first in range(0, width, rows):
            running.add(first, np.ascontiguousarray(matrix[:, first : first + rows].T))
        ids, values = running.best()
        assert ids.tolist() == wanted
        np.testing.assert_array_equal(values, np.take_along_axis(matrix, ids, 1))


def test_queries_in_many_strips(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(toplists, "STRIP", 4)
    monkeypatch.setattr(toplists, "SPARE", 1)
    matrix = matrices(11, 300)["many ties"]
    running = RunningTop(11, 6)
    for first in range(0, 300, 7):
        running.add(first, matrix[:, first : first + 7].T)
    assert running.best()[0].tolist() == slow(matrix, 6)
