"""What every method promises, whatever it is: checks on a small model with random weights."""

from __future__ import annotations

import torch
from torch import Tensor

from lgsf.data.batches.batch import Batch
from lgsf.models.base import DataSpec, Encoded, Method, Progress

REGION_DIM, VOCABULARY = 10, 30
SPEC = DataSpec(region_dim=REGION_DIM, vocabulary_size=VOCABULARY)
COUNTS, LENGTHS = [5, 3, 1, 4, 2], [2, 6, 3, 1, 5]


def ragged_batch(counts: list[int] = COUNTS, lengths: list[int] = LENGTHS, *, seed: int = 0, extra: int = 0) -> Batch:
    """Random pairs; `extra` more columns of padding, which hold what no method may look at."""
    generator = torch.Generator().manual_seed(seed)
    n = len(counts)
    regions = torch.randn(n, max(counts), REGION_DIM, generator=generator)
    tokens = torch.randint(4, VOCABULARY, (n, max(lengths)), generator=generator)
    region_mask = torch.arange(max(counts) + extra) < torch.tensor(counts)[:, None]
    token_mask = torch.arange(max(lengths) + extra) < torch.tensor(lengths)[:, None]
    regions = torch.cat([regions, torch.zeros(n, extra, REGION_DIM)], 1)
    tokens = torch.cat([tokens, torch.zeros(n, extra, dtype=torch.long)], 1)
    return Batch(
        regions=regions.masked_fill(~region_mask[..., None], 7.0 if extra else 0.0),
        region_mask=region_mask,
        boxes=None,
        tokens=tokens.masked_fill(~token_mask, 5 if extra else 0),
        token_mask=token_mask,
        image_ids=torch.arange(n),
    )


def encode(method: Method, batch: Batch) -> tuple[Encoded, Encoded]:
    return (
        method.encode_images(batch.regions, batch.region_mask, batch.boxes),
        method.encode_texts(batch.tokens, batch.token_mask),
    )


def scores(method: Method, batch: Batch) -> Tensor:
    return method.similarity(*encode(method, batch))


def close(ours: Tensor, theirs: Tensor, *, atol: float = 1e-5) -> None:
    torch.testing.assert_close(ours, theirs, atol=atol, rtol=0)


def scatter_statistics(method: Method) -> None:
    """Batch-norm statistics and scales as after training, so that evaluation mode has something to apply."""
    generator = torch.Generator().manual_seed(1)
    for module in method.modules():
        if isinstance(getattr(module, "running_mean", None), Tensor):
            module.running_mean.normal_(0, 0.1, generator=generator)  # type: ignore[operator, union-attr]
            module.running_var.uniform_(0.5, 1.5, generator=generator)  # type: ignore[operator, union-attr]
            with torch.no_grad():
                module.weight.uniform_(0.5, 1.5, generator=generator)  # type: ignore[operator, union-attr]


@torch.inference_mode()
def check_evaluation(method: Method, *, order_matters: bool = False) -> None:
    """Scores depend on the two samples alone: not on the batch, the chunk, padding or the order of regions."""
    scatter_statistics(method)
    method.eval()
    batch = ragged_batch()
    images, texts = encode(method, batch)
    together = method.similarity(images, texts)
    assert together.shape == (5, 5)
    assert together.isfinite().all()
    assert together.std() > 1e-4  # else the comparisons below say nothing

    for part in (slice(0, 1), slice(1, 4)):  # chunks
        close(method.similarity(images.select(part), texts), together[part])
        close(method.similarity(images, texts.select(part)), together[:, part])
    for i in range(5):  # one image, one caption, alone and without their padding: row 2 is one region, row 3 one word
        alone = (
            method.encode_images(batch.regions[i : i + 1, : COUNTS[i]], batch.region_mask[i : i + 1, : COUNTS[i]]),
            method.encode_texts(batch.tokens[i : i + 1, : LENGTHS[i]], batch.token_mask[i : i + 1, : LENGTHS[i]]),
        )
        close(method.similarity(*alone), together[i : i + 1, i : i + 1])
    one_region, one_word = (
        method.encode_images(batch.regions[2:3, :1], batch.region_mask[2:3, :1]),
        texts.select(slice(3, 4)),
    )
    close(method.similarity(one_region, one_word), together[2:3, 3:4])
    close(scores(method, ragged_batch(extra=3)), together)  # padding

    order = torch.tensor([2, 0, 4, 1, 3])
    full = ragged_batch([5] * 5)
    moved = method.encode_images(full.regions[:, order], full.region_mask)
    change = method.similarity(moved, texts) - scores(method, full)
    assert bool(change.abs().max() > 1e-4) == order_matters


def check_training(method: Method, *, same_image_is_no_negative: bool = True) -> None:
    """Losses and gradients are finite, also for zero regions and single fragments; siblings are no negatives."""
    method.train()
    batch = ragged_batch([5, 1, 1, 4, 2], [1, 6, 1, 1, 5])
    batch.regions[0] = 0
    batch.regions[3, 1] = 0
    for hardest in (False, True):
        method.zero_grad()
        loss, terms = method.loss(batch, *encode(method, batch), Progress(step=50, total_steps=100, hardest=hardest))
        assert loss.shape == ()
        assert loss.isfinite()
        assert loss > 0
        assert all(not term.requires_grad and term.isfinite() for term in terms.values())
        loss.backward()
        gradients = [p.grad for p in method.parameters() if p.grad is not None]
        assert gradients
        assert all(gradient.isfinite().all() for gradient in gradients)
        assert max(gradient.abs().max() for gradient in gradients) < 1e4

    if same_image_is_no_negative:
        method.eval()
        siblings = Batch(**{**vars(ragged_batch()), "image_ids": torch.zeros(5, dtype=torch.long)})
        loss, _ = method.loss(siblings, *encode(method, siblings), Progress(step=0, total_steps=1, hardest=True))
        assert loss == 0
