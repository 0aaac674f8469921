"""Several processes that train one run do what one process does: loss, gradients, statistics, ranks, resume."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from lgsf.data.batches.batch import Batch
from lgsf.models.base import Encoded, Method, Parameters, Progress
from lgsf.models.kernels.collective import ALONE
from lgsf.models.kernels.joint_norm import join_norms
from lgsf.system.errors import LgsfError
from lgsf.training.ranks import Ranks
from lgsf.training.step import backward
from tests.support.every_method import FORMS
from tests.support.pair import in_a_pair
from tests.support.properties import SPEC, ragged_batch

pytestmark = [pytest.mark.seconds, pytest.mark.xdist_group("pairs")]

# The second share is narrower than the first, in regions and in words; two pairs show one image.
COUNTS, LENGTHS, IMAGES = [2, 5, 3, 4, 2, 1, 3, 2], [7, 3, 2, 4, 3, 5, 4, 2], [0, 1, 2, 3, 2, 4, 5, 6]
LATE = Progress(step=60, total_steps=100, hardest=True)
ONE_PROCESS = Ranks(ALONE, torch.device("cpu"))
Outcome = dict[str, Any]


def batch() -> Batch:
    return replace(ragged_batch(COUNTS, LENGTHS), image_ids=torch.tensor(IMAGES))


def share(whole: Batch, rank: int, of: int) -> Batch:
    """What a rank's loader hands out: its rows, as narrow as they allow."""
    rows = slice(rank * len(COUNTS) // of, (rank + 1) * len(COUNTS) // of)
    regions, words = int(whole.region_mask[rows].sum(1).max()), int(whole.token_mask[rows].sum(1).max())
    return Batch(
        regions=whole.regions[rows, :regions],
        region_mask=whole.region_mask[rows, :regions],
        boxes=None,
        tokens=whole.tokens[rows, :words],
        token_mask=whole.token_mask[rows, :words],
        image_ids=whole.image_ids[rows],
    )


def trained(form: str) -> Method:
    """The method with dropout in what compares and none in the encoders: all then draw what one process draws."""
    method = FORMS[form].build().train()
    for name, module in method.named_modules():
        if name.split(".")[0] not in method.training_only and isinstance(getattr(module, "dropout", None), float):
            module.dropout = 0.0
        if isinstance(module, torch.nn.Dropout) and name.split(".")[0] not in method.training_only:
            module.p = 0.0
    return method


def step(form: str, ranks: Ranks) -> Outcome:
    """Loss, terms, gradients and statistics after one step late in training."""
    method, own = trained(form), batch()
    if not ranks.alone:
        join_norms(method)
        own = share(own, ranks.world.rank, ranks.world.size)
    torch.manual_seed(3)
    ranks.begin_epoch(0, 1)
    loss, terms = backward(method, own, LATE, ranks=ranks, precision="float32")
    gradients = {name: p.grad for name, p in method.named_parameters() if p.grad is not None}
    return {"loss": loss, "terms": terms, "gradients": gradients, "buffers": dict(method.named_buffers())}


def steps(ranks: Ranks) -> dict[str, Outcome]:
    return {form: step(form, ranks) for form in FORMS}


@pytest.fixture(scope="module")
def pair() -> list[dict[str, Outcome]]:
    """The outcome of every form on both ranks."""
    return in_a_pair(steps)


def check_gradients(ours: dict[str, Tensor], theirs: dict[str, Tensor]) -> None:
    """Each tensor to 1e-5 of its largest entry; one whose parts cancel, such as a bias in front of a batch norm, holds
    rounding alone: to 1e-6 of the largest entry of all."""
    assert ours.keys() == theirs.keys()
    largest = max(float(t.abs().max()) for t in theirs.values())
    for name, gradient in theirs.items():
        size = float(gradient.abs().max())
        allowed = max(1e-5 * size, 1e-6 * largest)
        error = float((ours[name] - gradient).abs().max())
        assert error <= allowed, f"{name}: {error} of {size}, where the largest is {largest}"


@pytest.mark.parametrize("form", FORMS)
def test_two_processes_have_the_gradients_of_one(form: str, pair: list[dict[str, Outcome]]) -> None:
    one = step(form, ONE_PROCESS)
    assert isinstance(pair[0], dict) and isinstance(pair[1], dict), pair
    for outcome in (rank[form] for rank in pair):
        torch.testing.assert_close(outcome["loss"], one["loss"], rtol=1e-5, atol=0)
        torch.testing.assert_close(outcome["terms"], one["terms"], rtol=1e-5, atol=1e-6)
        check_gradients(outcome["gradients"], one["gradients"])
        torch.testing.assert_close(outcome["buffers"], one["buffers"], rtol=1e-5, atol=1e-6)
    for part in ("gradients", "buffers"):
        assert all(torch.equal(t, pair[1][form][part][name]) for name, t in pair[0][form][part].items())


class Nosy(Method):
    """Its loss looks at the regions themselves."""

    def __init__(self, reads: bool) -> None:
        super().__init__(Parameters(), SPEC)
        self.weight = torch.nn.Parameter(torch.ones(()))
        self.__class__.loss_reads_regions = reads

    def encode_images(self, regions, mask, boxes=None):  # type: ignore[no-untyped-def]
        return Encoded(vector=regions.sum(1) * self.weight)

    def encode_texts(self, tokens, mask):  # type: ignore[no-untyped-def]
        return Encoded(vector=(tokens * mask).sum(1, keepdim=True) * self.weight)

    def loss(self, batch: Batch, images: Encoded, texts: Encoded, progress: Progress):  # type: ignore[no-untyped-def]
        assert batch.tokens.shape == batch.token_mask.shape == (len(COUNTS), max(LENGTHS))
        return (batch.regions.sum((1, 2)) * images.vector.sum(1) * texts.vector.squeeze(1)).mean(), {}  # type: ignore[union-attr]


def nosy_steps(ranks: Ranks) -> list[Any]:
    own, outcomes = share(batch(), ranks.world.rank, ranks.world.size), []
    for reads in (True, False):
        method = Nosy(reads)
        try:
            loss, _ = backward(method, own, LATE, ranks=ranks, precision="float32")
            outcomes.append([loss, method.weight.grad])
        except (RuntimeError, NotImplementedError) as error:
            outcomes.append(str(error))
    return outcomes


def test_a_loss_that_reads_regions_is_given_them_or_fails() -> None:
    one = Nosy(True)
    loss, _ = backward(one, batch(), LATE, ranks=ONE_PROCESS, precision="float32")
    for given, refused in in_a_pair(nosy_steps):
        torch.testing.assert_close(given, [loss, one.weight.grad])
        assert "meta" in refused


X = torch.randn(6, 3, 4, generator=torch.Generator().manual_seed(0)).double()
WEIGHTS = torch.linspace(-1, 1, X.numel()).view_as(X).double()


def normed(x: Tensor, weights: Tensor, ranks: Ranks) -> list[Tensor]:
    """What norms make of x, its gradient, and what they have counted."""
    norms = torch.nn.ModuleList([torch.nn.BatchNorm1d(3), torch.nn.BatchNorm1d(3, momentum=None)]).double()
    join_norms(norms)
    x = x.clone().requires_grad_()
    ranks.begin_epoch(0, 1)
    with ranks.encoding():
        ys = [norm(x) for norm in norms for _ in range(2)]
    torch.stack([(y * weights).square().sum() for y in ys]).sum().backward()
    assert x.grad is not None
    evaluated = norms.eval()[0](x)
    return [*(y.detach() for y in ys), x.grad, evaluated.detach(), *norms.buffers()]


def normed_share(ranks: Ranks) -> list[Tensor]:
    rows = slice(0, 2) if ranks.world.rank == 0 else slice(2, 6)  # unequal shares
    return normed(X[rows], WEIGHTS[rows], ranks)


def test_norms_of_torch_count_all_samples_as_one_process_would() -> None:
    first, second = in_a_pair(normed_share)
    for place, whole in enumerate(normed(X, WEIGHTS, ONE_PROCESS)):
        if whole.shape == X.shape:
            torch.testing.assert_close(torch.cat([first[place], second[place]]), whole)
        else:
            torch.testing.assert_close(first[place], whole)
            assert torch.equal(first[place], second[place])


def disagree(ranks: Ranks) -> list[str]:
    said = []
    for words in ("same", f"rank {ranks.world.rank}"):
        try:
            ranks.agree(words, "words")
        except LgsfError as error:
            said.append(str(error))
    return said


def test_ranks_that_differ_are_told_so() -> None:
    for rank, said in enumerate(in_a_pair(disagree)):
        (sentence,) = said
        assert f"do not have the same words (process {rank} differs from {1 - rank})" in sentence
