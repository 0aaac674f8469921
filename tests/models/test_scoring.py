"""The memory budget decides what is kept and never what is computed."""

from __future__ import annotations

import numpy as np
import torch

from lgsf.models.base import DataSpec, Encoded, Method, Parameters
from lgsf.models.scoring import TiledScores


def scores(n_images: int, n_texts: int, memory_mb: int) -> TiledScores:
    generator = torch.Generator().manual_seed(0)
    method = Method(Parameters(), DataSpec(region_dim=1, vocabulary_size=1))
    return TiledScores(method, Encoded(vector=torch.randn(n_images, 33, generator=generator)),
                       Encoded(vector=torch.randn(n_texts, 33, generator=generator)), memory_mb)  # fmt: skip


def test_values_are_right_and_independent_of_the_budget() -> None:
    kept, recomputed = scores(300, 2100, 512), scores(300, 2100, 1)
    walks = [np.concatenate([block for _, block in s.blocks()]) for s in (kept, kept, recomputed, recomputed)]
    assert not recomputed._kept
    assert len(kept._kept) == 3
    for walk in walks[1:]:
        assert (walk == walks[0]).all()
    exact = kept.images.vector.double() @ kept.texts.vector.double().T  # type: ignore[union-attr]
    np.testing.assert_allclose(walks[0], exact.numpy(), atol=1e-5)


def test_a_score_does_not_depend_on_what_else_is_ranked() -> None:
    """The first rows and columns keep their bits when images and captions are added behind them."""
    generator = torch.Generator().manual_seed(1)
    images, texts = torch.randn(200, 65, generator=generator), torch.randn(1500, 65, generator=generator)
    method = Method(Parameters(), DataSpec(region_dim=1, vocabulary_size=1))
    whole, part = (
        np.concatenate(
            [b for _, b in TiledScores(method, Encoded(vector=images[:i]), Encoded(vector=texts[:t])).blocks()]
        )
        for i, t in ((200, 1500), (77, 1100))
    )
    assert (whole[:77, :1100] == part).all()
