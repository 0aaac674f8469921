"""LGSF: its arms differ in what they say and in nothing else, and an embedding depends on its own sample alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, get_args

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor

from baselines.vse_inf import VSEInfinity, VSEInfinityParameters
from lgsf.data.batches.batch import Batch
from lgsf.models.base import DataSpec, Encoded, Method, Progress
from lgsf.models.layers.losses import hinge_triplet
from lgsf.models.lgsf import LGSF, LGSFParameters
from lgsf.models.triangle import TriangleParameters, angular_constraint, triangle_term
from lgsf.system.errors import LgsfError
from tests.support.properties import COUNTS, LENGTHS, SPEC, check_evaluation, check_training, encode, ragged_batch

NO_GAT: dict[str, Any] = {"graph": {"kind": "none"}}
NO_INTERACTION: dict[str, Any] = {"interaction": {"kind": "none"}}
PLAIN: dict[str, Any] = {"triangle": {"weight": 0.0}}
ARMS: dict[str, dict[str, Any]] = {
    "lgsf": {},
    "base": NO_GAT | NO_INTERACTION | PLAIN,
    "no_gat": NO_GAT,
    "no_interaction": NO_INTERACTION,
    "plain_triplet": PLAIN,
    "ffn_instead_of_gat": {"graph": {"edges": "self"}},
    "self_instead_of_interaction": {"interaction": {"kind": "identity"}},
}
FORMS: tuple[str, ...] = get_args(TriangleParameters.model_fields["form"].annotation)
BEFORE = Progress(step=0, total_steps=100, hardest=False)
AFTER = Progress(step=90, total_steps=100, hardest=True)


def model(spec: DataSpec = SPEC, *, seed: int = 0, **changes: Any) -> LGSF:
    """A small LGSF; nested options in `changes` are laid over the small ones."""
    small: dict[str, Any] = {
        "embedding_dim": 12,
        "word_dim": 6,
        "graph": {"heads": 3, "ff": 16},
        "interaction": {"heads": 3, "ff": 16},
        "triangle": {"weight": 0.1},
    }
    for key, value in changes.items():
        small[key] = {**small.get(key, {}), **value} if isinstance(value, dict) else value
    torch.manual_seed(seed)
    return LGSF(LGSFParameters.model_validate(small), spec)


def awake(**changes: Any) -> LGSF:
    """As `model`, with a graph block that is not the identity."""
    return model(**{**changes, "graph": {**changes.get("graph", {}), "zero_init": False}})


def test_the_text_encoder_has_a_name() -> None:
    assert model().text_encoder_name == "BiGRU"
    assert Method(LGSFParameters(), SPEC).text_encoder_name == "unknown"


@pytest.mark.parametrize("arm", ARMS)
def test_arms_share_every_initial_weight_and_the_random_stream(arm: str) -> None:
    whole = model()
    stream = torch.rand(3)
    weights = whole.state_dict()
    ablated = model(**ARMS[arm])
    assert torch.equal(torch.rand(3), stream)  # dropout starts at the same place
    ours = ablated.state_dict()
    missing = {name.split(".")[0] for name in weights.keys() - ours.keys()}
    expected = {key for key, part in ARMS[arm].items() if part.get("kind") == "none"}
    assert missing == expected
    assert not ours.keys() - weights.keys()
    for name, tensor in ours.items():
        assert torch.equal(tensor, weights[name]), name


def test_without_its_parts_and_with_the_perceptron_it_is_vse_infinity() -> None:
    """`base` on that footing differs from VSE-infinity by names alone: equal scores and losses on equal weights."""
    ours = model(region_encoder="mlp", **ARMS["base"])
    options = VSEInfinityParameters(embedding_dim=12, word_dim=6, margin=ours.options.margin)
    theirs = VSEInfinity(options, SPEC)
    names = {"image_encoder.": "region_encoder.", "image_pooling.": "region_pooling."}
    weights = {}
    for name, tensor in ours.state_dict().items():
        for own, other in names.items():
            name = name.replace(own, other) if name.startswith(own) else name
        weights[name] = tensor
    theirs.load_state_dict(weights)
    batch = ragged_batch()
    for train in (True, False):
        outcomes = []
        for method in (ours.train(train), theirs.train(train)):
            images, texts = encode(method, batch)
            outcomes.append((method.similarity(images, texts), method.loss(batch, images, texts, AFTER)[0]))
        for one, other in zip(*outcomes, strict=True):
            assert torch.equal(one, other)


def test_seeds_differ() -> None:
    first, second = model(seed=0).state_dict(), model(seed=1).state_dict()
    random = [name for name in first if name.endswith("weight") and "norms" not in name]
    assert len(random) > 10
    assert not any(torch.equal(first[name], second[name]) for name in random)


@pytest.mark.parametrize("pooling", ["mean", "maxk", "gpo"])
@pytest.mark.parametrize("kind", ["gatv2", "gat"])
@pytest.mark.parametrize("edges", ["complete", "self", "topk"])
def test_promises(pooling: str, kind: str, edges: str) -> None:
    check_evaluation(awake(pooling={"kind": pooling}, graph={"kind": kind, "edges": edges, "topk": 2}))


@pytest.mark.parametrize("arm", ARMS)
def test_training_is_finite(arm: str) -> None:
    check_training(model(**ARMS[arm]))


def test_a_zero_region_has_a_finite_gradient_through_the_graph() -> None:
    """Layer normalisation multiplies the gradient of a constant row by 1 / sqrt(eps), twice in a block."""
    method, batch = awake(), ragged_batch()
    batch.regions[0] = 0
    batch.regions[3, 1] = 0
    loss, _ = method.loss(batch, *encode(method, batch), AFTER)
    loss.backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in method.parameters())


@torch.no_grad()
def test_embeddings_do_not_depend_on_batch_order_or_padding() -> None:
    method = awake().eval()
    counts, lengths = (COUNTS * 5)[:23], (LENGTHS * 5)[:23]
    batch = ragged_batch(counts, lengths)
    whole = [encoded.vector for encoded in encode(method, batch)]
    order = torch.randperm(23, generator=torch.Generator().manual_seed(0))
    for size in (1, 7, 23):
        for rows in torch.arange(23).split(size), order.split(size):
            parts = [encode(method, _rows(batch, chunk)) for chunk in rows]
            for side, expected in enumerate(whole):
                assert expected is not None
                got = Encoded.concatenate([part[side] for part in parts]).vector
                torch.testing.assert_close(got, expected[torch.cat(rows)], atol=1e-6, rtol=0)
    padded = [encoded.vector for encoded in encode(method, ragged_batch(counts, lengths, extra=9))]
    for ours, expected in zip(padded, whole, strict=True):
        torch.testing.assert_close(ours, expected, atol=1e-6, rtol=0)


def _rows(batch: Batch, rows: Tensor) -> Batch:
    """Some rows, cut to their own longest image and caption."""
    regions, words = int(batch.region_mask[rows].sum(1).max()), int(batch.token_mask[rows].sum(1).max())
    return Batch(
        regions=batch.regions[rows, :regions],
        region_mask=batch.region_mask[rows, :regions],
        boxes=None,
        tokens=batch.tokens[rows, :words],
        token_mask=batch.token_mask[rows, :words],
        image_ids=batch.image_ids[rows],
    )


def _step(method: LGSF, batch: Batch, progress: Progress, loss: Callable[..., Tensor] | None = None) -> list[Tensor]:
    """Loss, all gradients and the random state after one training step."""
    torch.manual_seed(3)
    method.zero_grad()
    images, texts = encode(method, batch)
    value = method.loss(batch, images, texts, progress)[0] if loss is None else loss(images, texts)
    value.backward()
    gradients = [torch.zeros(()) if p.grad is None else p.grad for p in method.parameters()]
    return [value.detach(), *gradients, torch.get_rng_state()]


@pytest.mark.parametrize("progress", [BEFORE, AFTER])
def test_weight_zero_is_the_plain_triplet_byte_for_byte(progress: Progress) -> None:
    method, batch = awake(**PLAIN, **NO_INTERACTION), ragged_batch()

    def plain(images: Encoded, texts: Encoded) -> Tensor:
        scores = method.similarity(images, texts)
        return hinge_triplet(scores, batch.image_ids, margin=0.2, hardest=progress.hardest)[0]

    for ours, expected in zip(_step(method, batch, progress), _step(method, batch, progress, plain), strict=True):
        assert torch.equal(ours, expected)


@pytest.mark.parametrize("progress", [BEFORE, AFTER])
def test_the_loss_is_hinge_and_weighted_angle(progress: Progress) -> None:
    method, batch = awake(**NO_INTERACTION, triangle={"weight": 0.3, "angle_degrees": 35.0}).eval(), ragged_batch()
    images, texts = encode(method, batch)
    loss, terms = method.loss(batch, images, texts, progress)
    scores = method.similarity(images, texts)
    hinge, _, hardest = hinge_triplet(scores, batch.image_ids, margin=0.2, hardest=progress.hardest)
    assert images.vector is not None
    assert texts.vector is not None
    angular, _ = angular_constraint(images.vector, texts.vector, hardest, angle_degrees=35.0, form="soft")
    torch.testing.assert_close(loss, hinge + 0.3 * angular)
    torch.testing.assert_close(terms["hinge"] + 0.3 * terms["angular"], loss.detach())
    assert set(terms) == {"hinge", "angular", "angular_active", "positive_score", "hardest_score"}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_the_triangle_adds_its_term(form: str) -> None:
    """At weight 0 the form does not matter: nothing of it is computed or logged."""
    changes = {"form": form, "angle_degrees": 30.0}
    batch = ragged_batch()
    method = awake(**NO_INTERACTION, triangle={**changes, "weight": 0.3}).eval()
    images, texts = encode(method, batch)
    assert images.vector is not None and texts.vector is not None
    loss, terms = method.loss(batch, images, texts, AFTER)
    hinge, plain, negatives = hinge_triplet(method.similarity(images, texts), batch.image_ids, margin=0.2, hardest=True)
    term, activity = triangle_term(
        method.options.triangle, images.vector, texts.vector, batch.image_ids, negatives, margin=0.2
    )
    torch.testing.assert_close(loss, hinge + 0.3 * term)
    assert terms.keys() == plain.keys() | activity.keys()
    off = awake(**NO_INTERACTION, triangle={**changes, "weight": 0.0}).eval()
    loss, terms = off.loss(batch, images, texts, AFTER)
    assert torch.equal(loss, hinge)
    assert terms.keys() == plain.keys()
    check_training(model(triangle={**changes, "weight": 0.3}))


def test_interaction_starts_at_its_share_of_the_run_and_averages_four_losses() -> None:
    method, batch = awake(interaction={"start": 0.5}, **PLAIN).eval(), ragged_batch()
    images, texts = encode(method, batch)
    v, u = images.vector, texts.vector
    assert v is not None
    assert u is not None
    assert method.interaction is not None

    def hinge(a: Tensor, b: Tensor) -> Tensor:
        return hinge_triplet(a @ b.T, batch.image_ids, margin=0.2, hardest=True)[0]

    early, terms = method.loss(batch, images, texts, Progress(step=49, total_steps=100, hardest=True))
    torch.testing.assert_close(early, hinge(v, u))
    assert terms["interaction_active"] == 0
    late, terms = method.loss(batch, images, texts, Progress(step=50, total_steps=100, hardest=True))
    enhanced_v, enhanced_u = method.interaction(v), method.interaction(u)
    expected = (hinge(v, u) + hinge(v, enhanced_u) + hinge(enhanced_v, u) + hinge(enhanced_v, enhanced_u)) / 4
    torch.testing.assert_close(late, expected)
    torch.testing.assert_close(terms["hinge"], hinge(v, u).detach())
    assert terms["interaction_active"] == 1


@pytest.mark.parametrize(("pairs", "counted"), [("all", 3), ("cross", 2), ("enhanced", 1)])
def test_enhanced_pairs_have_a_weight(pairs: str, counted: int) -> None:
    method, batch = awake(interaction={"start": 0.0, "pairs": pairs, "weight": 0.5}, **PLAIN).eval(), ragged_batch()
    images, texts = encode(method, batch)
    v, u = images.vector, texts.vector
    assert v is not None and u is not None and method.interaction is not None
    enhanced_v, enhanced_u = method.interaction(v), method.interaction(u)
    chosen = {"cross": [(v, enhanced_u), (enhanced_v, u)], "enhanced": [(enhanced_v, enhanced_u)]}
    chosen["all"] = chosen["cross"] + chosen["enhanced"]
    plain, *others = (
        hinge_triplet(a @ b.T, batch.image_ids, margin=0.2, hardest=True)[0] for a, b in [(v, u), *chosen[pairs]]
    )
    assert len(others) == counted
    loss, _ = method.loss(batch, images, texts, AFTER)
    torch.testing.assert_close(loss, (plain + 0.5 * torch.stack(others).sum()) / (1 + 0.5 * counted))


@pytest.mark.parametrize("place", ["features", "branch"])
@pytest.mark.parametrize("encoder", ["fc", "mlp"])
def test_places_of_the_graph(place: str, encoder: str) -> None:
    changes = {"place": place, "heads": 2}
    check_evaluation(awake(graph=changes, region_encoder=encoder))
    check_training(model(graph=changes, region_encoder=encoder))
    method, batch = awake(graph=changes, region_encoder=encoder).eval(), ragged_batch()
    attention = method.region_attention(batch.regions, batch.region_mask)
    assert attention is not None and attention.shape == (5, 1, 2, 5, 5)


def test_the_branch_is_mixed_by_its_share() -> None:
    """At share 0 the graph has no say; at 1 the vector is the mean of the related regions."""
    batch = ragged_batch()
    without = model(**NO_GAT).eval().encode_images(batch.regions, batch.region_mask).vector
    zero = awake(graph={"place": "branch", "branch_share": 0.0}).eval()
    torch.testing.assert_close(zero.encode_images(batch.regions, batch.region_mask).vector, without)
    one = awake(graph={"place": "branch", "branch_share": 1.0}).eval()
    mean = awake(pooling={"kind": "mean"}).eval()
    mean.load_state_dict({name: value for name, value in one.state_dict().items() if "pooling" not in name})
    torch.testing.assert_close(
        one.encode_images(batch.regions, batch.region_mask).vector,
        mean.encode_images(batch.regions, batch.region_mask).vector,
    )


def test_the_graph_may_learn_at_a_rate_of_its_own() -> None:
    assert model().learning_rate_factors() == {}
    assert model(graph={"learning_rate_factor": 0.1}).learning_rate_factors() == {"graph.": 0.1}
    assert model(graph={"kind": "none", "learning_rate_factor": 0.1}).learning_rate_factors() == {}


def test_the_interaction_serves_training_alone() -> None:
    method = awake().eval()
    deployed = {n: w for n, w in method.state_dict().items() if not n.startswith(tuple(LGSF.training_only))}
    assert len(deployed) < len(method.state_dict())
    other = awake(seed=1).eval()
    other.load_state_dict(deployed, strict=False)
    for ours, theirs in zip(encode(method, ragged_batch()), encode(other, ragged_batch()), strict=True):
        assert torch.equal(ours.vector, theirs.vector)  # type: ignore[arg-type]


def test_iou_edges_use_boxes_and_refuse_data_without() -> None:
    with pytest.raises(LgsfError, match=r"graph\.edges"):
        model(graph={"edges": "iou"})
    method = awake(spec=DataSpec(region_dim=10, vocabulary_size=30, has_boxes=True), graph={"edges": "iou", "iou": 0.5})
    batch = ragged_batch([3, 3], [2, 2])
    apart = torch.tensor([[0, 0, 0.1, 0.1], [0.4, 0.4, 0.5, 0.5], [0.8, 0.8, 0.9, 0.9]]).expand(2, 3, 4)
    separate = method.eval().encode_images(batch.regions, batch.region_mask, apart).vector
    together = method.encode_images(batch.regions, batch.region_mask, apart[:, :1].expand(2, 3, 4)).vector
    assert separate is not None
    assert together is not None
    assert (separate - together).abs().max() > 1e-3


def test_region_attention() -> None:
    method, batch = awake(graph={"layers": 2}).eval(), ragged_batch()
    attention = method.region_attention(batch.regions, batch.region_mask)
    assert attention is not None
    assert attention.shape == (5, 2, 3, 5, 5)
    torch.testing.assert_close(attention.sum(4), torch.ones(5, 2, 3, 5))
    assert (attention[1, :, :, :3, 3:] == 0).all()  # image 1 has three regions
    assert model(**NO_GAT).region_attention(batch.regions, batch.region_mask) is None


def test_state_shares_no_memory() -> None:
    """Weights that are one tensor under two names could not be written."""
    for kind in ("gatv2", "gat"):
        pointers = [tensor.data_ptr() for tensor in model(graph={"kind": kind}).state_dict().values()]
        assert len(pointers) == len(set(pointers))


def test_unknown_options_are_refused() -> None:
    with pytest.raises(ValidationError, match="headz"):
        LGSFParameters.model_validate({"graph": {"headz": 4}})
