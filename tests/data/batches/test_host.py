"""Copies on the host: known for as long as the tensor elsewhere lives, and asked for once."""

from __future__ import annotations

import gc

import pytest
import torch

from lgsf.data.batches import host
from tests.support.properties import ragged_batch


def test_a_batch_leaves_its_masks_and_ids_with_the_host() -> None:
    batch = ragged_batch()
    moved = batch.to("meta")  # no value can be read there
    for name in ("region_mask", "token_mask", "image_ids"):
        assert torch.equal(host.on_host(getattr(moved, name)), getattr(batch, name))
    with pytest.raises(NotImplementedError):
        host.on_host(moved.tokens)


def test_a_batch_that_moves_on_still_is_known() -> None:
    there = ragged_batch().to("meta").to("meta")
    assert host.on_host(there.token_mask).device.type == "cpu"


def test_a_tensor_on_the_host_is_its_own_copy() -> None:
    x = torch.ones(3)
    assert host.on_host(x) is x
    assert host.remember(x, torch.zeros(3)) is x
    assert host.on_host(x) is x


def test_copies_go_with_their_tensors() -> None:
    gc.collect()
    before = len(host._copies)
    there = [host.remember(torch.empty(2, device="meta"), torch.ones(2)) for _ in range(5)]
    assert len(host._copies) == before + 5
    del there
    gc.collect()
    assert len(host._copies) == before
