"""A two-level factorial of a model's parts."""

from __future__ import annotations

import itertools

from pydantic import Field, model_validator

from lgsf.system.settings import ListOf, Name, Settings


class Factorial(Settings):
    """A two-level factorial: every combination of parts that are on or off is one method."""

    factors: dict[Name, str] = Field(min_length=2, max_length=4, description="part -> how tables call it")
    cells: dict[Name, ListOf[Name]] = Field(description="method -> the parts that are on in it")

    @model_validator(mode="after")
    def _every_combination_once(self) -> Factorial:
        owner: dict[frozenset[str], str] = {}
        for method, parts in self.cells.items():
            if unknown := [part for part in parts if part not in self.factors]:
                raise ValueError(f"cells.{method} names {unknown[0]!r}, which is not among factors; correct it")
            if (first := owner.setdefault(frozenset(parts), method)) != method:
                raise ValueError(f"cells.{first} and cells.{method} have the same parts on; remove one")
        orders = range(len(self.factors) + 1)
        combinations = [on for order in orders for on in itertools.combinations(self.factors, order)]
        if absent := [" + ".join(on) or "every part off" for on in combinations if frozenset(on) not in owner]:
            raise ValueError(f"cells has no method with {'; '.join(absent)}; name one for each combination of parts")
        return self
