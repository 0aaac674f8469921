"""The sorting network is torch's sort."""

from __future__ import annotations

from itertools import product

import pytest
import torch

from lgsf.models.kernels.sorting import comparators, sort_descending


@pytest.mark.parametrize("length", range(1, 13))
def test_comparators_sort_all_zero_one_sequences(length: int) -> None:
    """Then they sort everything (Knuth's zero-one principle)."""
    x = torch.tensor(list(product((0.0, 1.0), repeat=length))).T.clone()
    for upper, lower in comparators(length):
        x[upper], x[lower] = torch.maximum(x[upper], x[lower]), torch.minimum(x[upper], x[lower])
    assert (x[:-1] >= x[1:]).all()


@pytest.mark.parametrize("length", [1, 2, 13, 36, 65, 100])
def test_equals_torchs_sort(length: int) -> None:
    generator = torch.Generator().manual_seed(length)
    x = torch.randn(length, 7, 5, generator=generator) * 10.0 ** torch.randint(
        -38, 38, (length, 7, 5), generator=generator
    )
    x[length // 2 :, 0] = x[: length - length // 2, 0]  # ties
    x[:, 1] = torch.randint(-2, 3, (length, 5), generator=generator) * 1e-44  # denormal, and both zeros
    x[0, 2] = torch.finfo(torch.float32).min
    before = x.clone()
    values, places = sort_descending(x)
    assert torch.equal(values, x.sort(dim=0, descending=True).values)
    assert torch.equal(x.gather(0, places), values)
    assert torch.equal(places.sort(dim=0).values, torch.arange(length)[:, None, None].expand_as(places))
    assert torch.equal(x, before)


def test_not_a_number_is_not_hidden() -> None:
    x = torch.randn(6, 3)
    x[2, 1] = torch.nan
    values, _ = sort_descending(x)
    assert values[:, 1].isnan().any()
    assert values[:, [0, 2]].isfinite().all()
