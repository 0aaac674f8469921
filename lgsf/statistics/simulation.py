"""Runs with a known truth: ranks whose captions depend on each other, to measure how tests behave.

A query's quality is a sum of normal effects - of the method, its seed, the image, what method and seed make of
that image, the caption, and noise - and its rank falls exponentially with it: rank 0 from quality 0 on. Two
methods with equal parameters are equal in expectation, so every alarm between them is a false one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class SimulatedRanks:
    """lgsf.statistics.Ranks from a simulation: one fold, so ranks inside the fold are the same."""

    i2t: Ints
    t2i: Ints
    caption_image: Ints
    image_fold: Ints
    queries: str = "simulated"

    @property
    def i2t_fold(self) -> Ints:
        return self.i2t

    @property
    def t2i_fold(self) -> Ints:
        return self.t2i


@dataclass(frozen=True, kw_only=True)
class Population:
    """Standard deviations of the effects behind a query's quality; R@1 at ability 0 is 50 %.

    image         how hard an image is for everybody
    method_image  how well a method happens to suit an image: with `image`, what makes captions correlated
    caption       how hard a caption is for everybody
    seed          how much the seed shifts a whole run
    seed_image    how much the seed changes what a method makes of an image
    noise         everything else, per query and run
    """

    images: int = 500
    captions: int = 5
    image: float = 0.8
    method_image: float = 0.3
    caption: float = 0.5
    seed: float = 0.0
    seed_image: float = 0.3
    noise: float = 0.4

    def draw(
        self, generator: np.random.Generator, *, seeds: tuple[int, int], ability: float = 0.0
    ) -> dict[str, list[SimulatedRanks]]:
        """Runs of two methods "a" and "b" on one new test set; "a" is better by `ability`."""
        return self.draw_methods(generator, {"a": (seeds[0], ability), "b": (seeds[1], 0.0)})

    def draw_methods(
        self, generator: np.random.Generator, methods: Mapping[str, tuple[int, float]]
    ) -> dict[str, list[SimulatedRanks]]:
        """Runs of `methods`, name -> (seeds, ability), on one new test set; R@1 rises by about 40 times the ability."""
        normal = generator.standard_normal
        row = np.repeat(np.arange(self.images), self.captions)
        image, caption = self.image * normal(self.images), self.caption * normal(len(row))
        runs: dict[str, list[SimulatedRanks]] = {}
        for name, (count, better) in methods.items():
            suited = image + self.method_image * normal(self.images) + better
            runs[name] = []
            for _ in range(count):
                own = suited + self.seed * normal() + self.seed_image * normal(self.images)
                i2t, t2i = own + self.noise * normal(self.images), own[row] + caption + self.noise * normal(len(row))
                runs[name].append(SimulatedRanks(_ranks(i2t), _ranks(t2i), row, np.zeros(self.images, np.int64)))
        return runs


def _ranks(quality: npt.NDArray[np.float64]) -> Ints:
    return np.floor(np.exp(-quality)).astype(np.int64)
