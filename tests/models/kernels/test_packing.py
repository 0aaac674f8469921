"""Packing takes the valid entries, unpacking brings them back, and each is the other's gradient."""

from __future__ import annotations

import gc

import torch
from torch.nn.utils.rnn import pack_padded_sequence

from lgsf.models.kernels import packing
from lgsf.models.kernels.packing import by_sample, by_step, pack, unpack

LENGTHS = torch.tensor([3, 6, 1, 2, 5, 5, 1])
MASK = torch.arange(6) < LENGTHS[:, None]
HOLES = torch.tensor([[True, False, True], [False, True, True], [True, True, True], [False, False, True]])


def test_by_sample_is_boolean_indexing() -> None:
    for mask in (MASK, HOLES):
        x = torch.randn(*mask.shape, 4, dtype=torch.double, requires_grad=True)
        rows = pack(x, by_sample(mask))
        assert torch.equal(rows, x[mask])
        back = unpack(rows, by_sample(mask))
        assert torch.equal(back, x.masked_fill(~mask[..., None], 0))
        assert torch.autograd.gradcheck(lambda x, mask=mask: pack(x, by_sample(mask)), (x,))
        assert torch.autograd.gradcheck(
            lambda r, mask=mask: unpack(r, by_sample(mask)), (rows.detach().requires_grad_(),)
        )


def test_by_step_is_the_library_s_order() -> None:
    x = torch.randn(*MASK.shape, 4)
    expected = pack_padded_sequence(x, LENGTHS, batch_first=True, enforce_sorted=False)
    made = by_step(MASK)
    assert made.counts is not None
    assert torch.equal(made.counts, expected.batch_sizes)
    assert made.counts.device.type == "cpu"
    # Sequences of one length may stand in either order: each step holds the same rows.
    rows, theirs = pack(x, made), expected.data
    for ours, library in zip(rows.split(made.counts.tolist()), theirs.split(made.counts.tolist()), strict=True):
        assert sorted(map(tuple, ours.tolist())) == sorted(map(tuple, library.tolist()))
    assert torch.equal(unpack(rows, made), x.masked_fill(~MASK[..., None], 0))


def test_a_packing_is_made_once_and_goes_with_its_mask() -> None:
    gc.collect()
    before = len(packing._samples)
    mask = MASK.clone()
    assert by_sample(mask) is by_sample(mask)
    assert len(packing._samples) == before + 1
    del mask
    gc.collect()
    assert len(packing._samples) == before
