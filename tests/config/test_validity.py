"""Controls of the bench: what a configuration may name."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from lgsf.config.validity import Validity


def test_names_and_defaults() -> None:
    design = Validity.model_validate({"finds": ["graph"], "silent": ["same"]})
    assert list(design.methods) == ["graph", "same"]
    assert (design.metric, design.least) == ("twin_relation", 65.0)


@pytest.mark.parametrize(
    ("raw", "sentence"),
    [
        ({"finds": ["a"], "silent": ["a"]}, "'a' stands under finds and under silent"),
        ({"finds": [], "silent": ["a"]}, "finds"),
        ({"finds": ["a"], "silent": ["b"], "metric": "rsum"}, "metric"),
        ({"finds": ["a"], "silent": ["b"], "least": 30.0}, "least"),
    ],
)
def test_what_does_not_fit_is_refused(raw: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValidationError, match=sentence):
        Validity.model_validate(raw)
