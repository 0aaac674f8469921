"""The shares of a batch, for processes that train together, are the rows of the batch of one process."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from lgsf.data.batches.training import TrainingBatches
from lgsf.data.layout import open_dataset


@pytest.mark.parametrize("choice", [{}, {"length_buckets": 2}])
def test_shares_are_the_rows_of_whole_batches_in_order(tiny_dataset: Path, choice: dict[str, int]) -> None:
    data = open_dataset(tiny_dataset)
    options = {"batch_size": 12, "seed": 5, "region_drop": 0.3, "word_drop": 0.3, **choice}

    def batches(share: tuple[int, int]) -> TrainingBatches:
        return TrainingBatches(data.split("train"), data.vocabulary(), share=share, **options)  # type: ignore[arg-type]

    whole, thirds = batches((0, 1)), [batches((part, 3)) for part in range(3)]
    assert {len(part) for part in thirds} == {len(whole)}
    for batch, *shares in zip(whole.epoch(2), *(part.epoch(2) for part in thirds), strict=True):
        assert torch.equal(torch.cat([share.image_ids for share in shares]), batch.image_ids)
        for place, share in enumerate(shares):
            rows = slice(4 * place, 4 * place + 4)
            words, regions = share.tokens.shape[1], share.regions.shape[1]
            assert words == batch.token_mask[rows].sum(1).max() and regions == batch.region_mask[rows].sum(1).max()
            assert torch.equal(share.tokens, batch.tokens[rows, :words])
            assert torch.equal(share.regions, batch.regions[rows, :regions])
            assert torch.equal(share.region_mask, batch.region_mask[rows, :regions])
            assert torch.equal(share.boxes, batch.boxes[rows, :regions])  # type: ignore[arg-type, index]
