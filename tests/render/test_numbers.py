"""Numbers as readers see them."""

from __future__ import annotations

import math

import pytest

from lgsf.render.numbers import decimal, duration, interval, listing, mean_sd, moment


@pytest.mark.parametrize(
    ("value", "places", "sign", "text"),
    [
        (58.349, 1, False, "58.3"),
        (-0.04, 1, False, "0.0"),
        (-0.04, 1, True, "0.0"),
        (-1.26, 1, True, "−1.3"),
        (1.26, 1, True, "+1.3"),
        (1204224, 0, False, "1\u202f204\u202f224"),
        (math.nan, 1, False, "–"),
        (None, 1, False, "–"),
    ],
)
def test_decimal(value: float | None, places: int, sign: bool, text: str) -> None:
    assert decimal(value, places, sign=sign) == text


def test_a_single_run_has_no_spread() -> None:
    assert mean_sd(58.35, math.nan) == "58.4"
    assert mean_sd(58.31, 0.44) == "58.3 ± 0.4"


def test_interval() -> None:
    assert interval(-1.2, 3.4) == "−1.2 to +3.4"
    assert interval(math.nan, 3.4) == "–"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.44, "0.4 s"), (42.4, "42 s"), (725.0, "12 min 5 s"), (12000.0, "3 h 20 min"), (None, "–")],
)
def test_duration(seconds: float | None, text: str) -> None:
    assert duration(seconds) == text


def test_words() -> None:
    assert [listing(list(items)) for items in ("", "a", "ab", "abc")] == ["", "a", "a and b", "a, b and c"]
    assert moment("2026-03-01T10:02:03.5+00:00") == "2026-03-01 10:02"
