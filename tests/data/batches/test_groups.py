"""Groups that share a batch: against a slow version, on one's own columns, and with sentences for what does not fit."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from lgsf.data.batches.groups import image_groups, together
from lgsf.data.batches.training import TrainingBatches
from lgsf.data.layout import Split, open_dataset
from lgsf.data.text import Vocabulary
from lgsf.system.errors import LgsfError


@pytest.fixture(scope="module")
def train(tiny_dataset: Path) -> Split:
    return open_dataset(tiny_dataset).split("train")


def _with(split: Split, column: str, values: list[object]) -> Split:
    return dataclasses.replace(split, images=split.images.assign(**{column: values}))


def test_sheaves_equal_a_slow_version() -> None:
    random = np.random.default_rng(0)
    images = np.repeat(np.arange(7), [3, 1, 5, 5, 2, 4, 1])
    groups = np.array([0, 0, 1, 1, 1, 2, 3])
    order = random.permutation(len(images))
    sheaves: dict[tuple[int, int], list[int]] = {}
    seen = dict.fromkeys(range(7), 0)
    for caption in order.tolist():
        image = int(images[caption])
        sheaves.setdefault((int(groups[image]), seen[image]), []).append(caption)
        seen[image] += 1
    assert together(order, images, groups).tolist() == [caption for own in sheaves.values() for caption in own]


def test_without_groups_of_two_nothing_moves() -> None:
    order = np.random.default_rng(1).permutation(20)
    images = np.arange(20) // 5
    assert (together(order, images, np.arange(4)) == order).all()


def test_twins_meet_and_an_image_never_meets_itself() -> None:
    images = np.repeat(np.arange(40), 5)
    for seed in range(5):
        order = np.random.default_rng(seed).permutation(len(images))
        for batch in np.split(images[together(order, images, np.arange(40) // 2)], 20):
            pairs, counts = np.unique(batch // 2, return_counts=True)
            assert (counts % 2 == 0).all()
            assert all((batch == 2 * pair).sum() == (batch == 2 * pair + 1).sum() for pair in pairs)


@pytest.mark.parametrize("seed", [0, 1])
def test_an_epoch_repeats_itself_and_has_every_caption_once(train: Split, tiny_dataset: Path, seed: int) -> None:
    vocabulary = Vocabulary.load(tiny_dataset / "vocabulary.json")
    pairs = [row ^ 1 for row in range(len(train.images))]
    made = TrainingBatches(_with(train, "twin", pairs), vocabulary, batch_size=4, seed=seed, group="twin")
    for epoch in (1, 2):
        batches = list(made.epoch(epoch))
        again = list(made.epoch(epoch))
        assert all(torch.equal(a.tokens, b.tokens) for a, b in zip(batches, again, strict=True))
        order = together(
            np.random.default_rng((seed, epoch)).permutation(len(train.captions)),
            train.caption_image,
            np.arange(len(train.images)) // 2,
        )[: 4 * len(batches)]
        assert torch.cat([batch.image_ids for batch in batches]).tolist() == train.caption_image[order].tolist()
    assert not torch.equal(next(made.epoch(1)).image_ids, next(made.epoch(2)).image_ids)


def test_a_column_of_labels_makes_groups_and_what_has_none_stands_alone(train: Split) -> None:
    n = len(train.images)
    labels: list[object] = ["a", None, "b", "a", *[None] * (n - 4)]
    groups = image_groups(_with(train, "kind", labels), "kind")
    assert groups[0] == groups[3]
    assert len(set(groups.tolist())) == n - 1


def test_an_image_without_a_partner_stands_alone(train: Split) -> None:
    n = len(train.images)
    groups = image_groups(_with(train, "twin", [1, 0, *[None] * (n - 2)]), "twin")
    assert groups[0] == groups[1]
    assert len(set(groups.tolist())) == n - 1


def test_no_such_column(train: Split) -> None:
    with pytest.raises(LgsfError, match=r"training\.group is 'cluster' .*no such column: name one of image_id"):
        image_groups(train, "cluster")


@pytest.mark.parametrize("bad", [[1, 2, 0], [0, 99]])
def test_partners_must_name_each_other(train: Split, bad: list[int]) -> None:
    partners = [*bad, *range(len(bad), len(train.images))]
    with pytest.raises(LgsfError, match="must name the row of a partner that names it in turn"):
        image_groups(_with(train, "twin", partners), "twin")
