"""Training batches against a slow version, and the promises on randomness, order and threads."""

from __future__ import annotations

from itertools import chain
from pathlib import Path

import numpy as np
import pytest
import torch

from lgsf.data.batches import augment
from lgsf.data.batches.batch import Batch
from lgsf.data.batches.training import TrainingBatches, image_batches, text_batches
from lgsf.data.batches.training import bucketed as bucketed_order
from lgsf.data.layout import Dataset, Split, open_dataset
from lgsf.data.text import Vocabulary
from lgsf.system.errors import LgsfError

DROPS = {"region_drop": 0.3, "word_drop": 0.3}


@pytest.fixture(scope="module")
def dataset(tiny_dataset: Path) -> Dataset:
    return open_dataset(tiny_dataset)


@pytest.fixture(scope="module")
def train(dataset: Dataset) -> Split:
    return dataset.split("train")


@pytest.fixture(scope="module")
def vocabulary(dataset: Dataset) -> Vocabulary:
    return Vocabulary.load(dataset.root / "vocabulary.json")


def _same(first: Batch, second: Batch) -> bool:
    pairs = zip(vars(first).values(), vars(second).values(), strict=True)
    return all(a.shape == b.shape and torch.equal(a, b) for a, b in pairs)


def _slow_batch(split: Split, vocabulary: Vocabulary, seed: int, epoch: int, rows: list[int]) -> Batch:
    """One sample after the other, with lists."""
    samples = []
    for row in rows:
        image = int(split.captions["image"].iloc[row])
        count = int(split.region_counts[image])
        draw = augment.uniforms(seed, epoch, augment.REGION_STREAM, np.array([row]), count)[0]
        kept = [r for r in range(count) if draw[r] >= DROPS["region_drop"]] or [int(draw.argmax())]
        words = vocabulary.encode(split.captions["text"].iloc[row])
        draw = augment.uniforms(seed, epoch, augment.WORD_STREAM, np.array([row]), len(words))[0]
        other = augment.uniforms(seed, epoch, augment.REPLACEMENT_STREAM, np.array([row]), len(words))[0]
        spared = max(range(1, len(words) - 1), key=lambda i, d=draw: d[i])
        said = []
        for i, word in enumerate(words):
            part = draw[i] / DROPS["word_drop"]
            if word in (1, 2) or part >= 1 or i == spared:
                said.append(word)
            elif part < 0.5:
                said.append(4)
            elif part < 0.6:
                said.append(5 + int(other[i] * (len(vocabulary) - 5)))
        assert split.boxes is not None
        samples.append(
            (split.regions.read(np.array([image]))[0][kept], split.boxes.read(np.array([image]))[0][kept], said, image)
        )
    n, longest, words = len(rows), max(len(s[0]) for s in samples), max(len(s[2]) for s in samples)
    regions, boxes = torch.zeros(n, longest, 10), torch.zeros(n, longest, 4)
    region_mask = torch.zeros(n, longest, dtype=torch.bool)
    tokens, token_mask = torch.zeros(n, words, dtype=torch.int64), torch.zeros(n, words, dtype=torch.bool)
    for i, (r, b, t, _) in enumerate(samples):
        regions[i, : len(r)], boxes[i, : len(r)] = torch.from_numpy(r), torch.from_numpy(b)
        region_mask[i, : len(r)] = True
        tokens[i, : len(t)], token_mask[i, : len(t)] = torch.tensor(t), True
    return Batch(
        regions=regions, region_mask=region_mask, boxes=boxes, tokens=tokens, token_mask=token_mask,
        image_ids=torch.tensor([s[3] for s in samples]),
    )  # fmt: skip


def test_batches_equal_a_slow_version(train: Split, vocabulary: Vocabulary) -> None:
    batches = TrainingBatches(train, vocabulary, batch_size=16, seed=3, **DROPS)
    order = np.random.default_rng((3, 2)).permutation(len(train.captions)).tolist()
    steps = list(batches.epoch(2))
    assert len(steps) == len(batches) == len(train.captions) // 16
    for step, batch in enumerate(steps):
        assert _same(batch, _slow_batch(train, vocabulary, 3, 2, order[16 * step : 16 * step + 16]))


def test_without_augmentation_samples_are_those_on_disk(train: Split, vocabulary: Vocabulary) -> None:
    seen: list[tuple[int, tuple[int, ...]]] = []
    for batch in TrainingBatches(train, vocabulary, batch_size=1, seed=0).epoch(0):
        image = int(batch.image_ids[0])
        count = train.region_counts[image]
        assert batch.regions.dtype == torch.float32
        assert batch.tokens.dtype == batch.image_ids.dtype == torch.int64
        assert batch.region_mask.tolist() == [[True] * count]
        assert batch.token_mask.all()
        np.testing.assert_array_equal(batch.regions[0].numpy(), train.regions.read(np.array([image]))[0, :count])
        seen.append((image, tuple(batch.tokens[0].tolist())))
    every = [
        (int(image), tuple(vocabulary.encode(text)))
        for image, text in zip(train.captions["image"], train.captions["text"], strict=True)
    ]
    assert sorted(seen) == sorted(every)
    assert seen != every


def test_an_epoch_repeats_itself_and_differs_from_others(train: Split, vocabulary: Vocabulary) -> None:
    def first(seed: int, epoch: int) -> Batch:
        return next(TrainingBatches(train, vocabulary, batch_size=16, seed=seed, **DROPS).epoch(epoch))

    assert _same(first(0, 0), first(0, 0))
    assert not torch.equal(first(0, 0).image_ids, first(0, 1).image_ids)
    assert not torch.equal(first(0, 0).image_ids, first(1, 0).image_ids)
    batches = TrainingBatches(train, vocabulary, batch_size=16, seed=0, **DROPS)
    list(batches.epoch(0))  # what ran before leaves no trace
    assert _same(next(batches.epoch(1)), first(0, 1))


def test_a_sample_does_not_depend_on_its_batch(train: Split, vocabulary: Vocabulary) -> None:
    """The same caption in batches of two sizes: same regions, same words, apart from padding."""

    def samples(size: int) -> list[tuple[int, bytes, list[int]]]:
        out = []
        for batch in TrainingBatches(train, vocabulary, batch_size=size, seed=1, **DROPS).epoch(4):
            for i in range(size):
                regions = batch.regions[i][batch.region_mask[i]]
                words = batch.tokens[i][batch.token_mask[i]].tolist()
                out.append((int(batch.image_ids[i]), regions.numpy().tobytes(), words))
        return out

    assert samples(1)[:48] == samples(16)[:48]


@pytest.mark.parametrize("workers", [1, 3])
def test_threads_change_nothing(train: Split, vocabulary: Vocabulary, workers: int) -> None:
    def batches(workers: int) -> TrainingBatches:
        return TrainingBatches(train, vocabulary, batch_size=16, seed=0, workers=workers, **DROPS)

    order = np.random.default_rng((0, 0)).permutation(len(train.captions))
    alone = batches(1)
    for step, ahead in enumerate(batches(workers).epoch(0)):
        assert _same(ahead, alone._batch(0, order[16 * step : 16 * step + 16]))


def test_a_batch_that_is_kept_keeps_its_numbers(train: Split, vocabulary: Vocabulary) -> None:
    """Memory is used again, but only when nobody holds a batch, a tensor of it or a view."""
    batches = TrainingBatches(train, vocabulary, batch_size=16, seed=0)
    kept, copies = [], []
    for epoch in range(3):
        for step, batch in enumerate(batches.epoch(epoch)):
            if step % 2 == 0:
                kept.append(batch.regions[0, :1].T)
                copies.append(kept[-1].clone())
    assert all(torch.equal(a, b) for a, b in zip(kept, copies, strict=True))
    owned = batches._images.buffers._owned
    assert 0 < len(owned) <= batches._images.buffers._most


def test_too_few_captions_for_a_batch(train: Split, vocabulary: Vocabulary) -> None:
    with pytest.raises(LgsfError, match="batch_size is 1000"):
        TrainingBatches(train, vocabulary, batch_size=1000, seed=0)


@pytest.mark.parametrize("size", [1, 5, 100])
def test_encoding_batches_are_in_file_order(train: Split, vocabulary: Vocabulary, size: int) -> None:
    row = 0
    for regions, mask, boxes in image_batches(train, size):
        assert boxes is not None
        counts = train.region_counts[row : row + len(regions)]
        assert len(regions) == min(size, len(train.images) - row)
        assert mask.sum(1).tolist() == counts.tolist()
        assert regions.shape[1] == boxes.shape[1] == counts.max()
        for i, count in enumerate(counts):
            stored = train.regions.read(np.array([row + i]))[0]
            np.testing.assert_array_equal(regions[i].numpy(), stored[: regions.shape[1]])
            assert mask[i, :count].all()
        row += len(regions)
    assert row == len(train.images)
    texts = [
        tokens[i, : mask[i].sum()].tolist()
        for tokens, mask, _ in text_batches(train, vocabulary, size)
        for i in range(len(tokens))
    ]
    assert texts == [vocabulary.encode(text) for text in train.captions["text"]]


@pytest.mark.parametrize("size", [1, 5, 100])
def test_captions_by_length_say_where_they_stand(train: Split, vocabulary: Vocabulary, size: int) -> None:
    rows, lengths, texts = [], [], {}
    for tokens, mask, places in text_batches(train, vocabulary, size, by_length=True):
        rows += places.tolist()
        lengths += mask.sum(1).tolist()
        texts |= {int(row): tokens[i, mask[i]].tolist() for i, row in enumerate(places)}
    assert lengths == sorted(lengths)
    assert sorted(rows) == list(range(len(train.captions)))
    assert [texts[row] for row in range(len(rows))] == [vocabulary.encode(text) for text in train.captions["text"]]


def test_length_buckets_take_every_caption_once_and_waste_less(train: Split, vocabulary: Vocabulary) -> None:
    def samples(window: int, epoch: int = 3) -> list[list[tuple[int, tuple[int, ...]]]]:
        batches = TrainingBatches(train, vocabulary, batch_size=8, seed=0, length_buckets=window, **DROPS)
        return [
            [
                (int(image), tuple(words[mask].tolist()))
                for image, words, mask in zip(batch.image_ids, batch.tokens, batch.token_mask, strict=True)
            ]
            for batch in batches.epoch(epoch)
        ]

    plain, bucketed = samples(0), samples(4)
    assert sorted(chain(*bucketed)) == sorted(chain(*plain))  # the same captions, dropped and augmented alike
    assert samples(4) == bucketed != samples(4, epoch=4)
    for start in range(0, len(plain), 4):  # no caption leaves its stretch
        assert sorted(chain(*bucketed[start : start + 4])) == sorted(chain(*plain[start : start + 4]))
    lengths = np.array([4, 9, 5, 8, 4, 9, 5, 8] * 2)
    order = bucketed_order(np.arange(16), lengths, 2, 4, np.random.default_rng(0))
    assert all(len(set(lengths[pair])) == 1 for pair in order.reshape(-1, 2))
    assert sorted(order[:8]) == list(range(8))
    firsts = {tuple(lengths[bucketed_order(np.arange(16), lengths, 2, 4, np.random.default_rng(i))]) for i in range(9)}
    assert len(firsts) > 3  # not from short to long
