"""HREM's image encoder and relation module equal the authors' code; the method keeps every method's promises."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from pydantic import ValidationError

from baselines.hrem import HREM, HREMParameters, fragment_similarities, from_published
from lgsf.data.batches.batch import Batch
from lgsf.models.base import DataSpec, Encoded
from lgsf.models.layers.pooling import MaxKPooling
from tests.support.golden import HARDEST, Golden, close
from tests.support.properties import SPEC, check_evaluation, check_training, encode, ragged_batch


def small(**changes: Any) -> HREM:
    torch.manual_seed(0)
    options = {"embedding_dim": 12, "word_dim": 6, "heads": 2, "top_k": 3, "start_step": 0, **changes}
    return HREM(HREMParameters(**options), SPEC)


def test_golden() -> None:
    """The text side stands for BERT's words: the case gives them, pooled by max-2."""
    case = Golden("hrem_eval")
    options = HREMParameters(
        embedding_dim=32, heads=4, loss="hinge", start_step=0, mask_weight=1.5, top_k=3, relevance_weight=10.0
    )
    method = HREM(options, DataSpec(region_dim=48, vocabulary_size=2)).eval()
    missing, unexpected = method.load_state_dict(from_published(case.weights), strict=False)
    assert not unexpected
    assert all(name.startswith(("text_encoder.", "word_relations.")) for name in missing)

    words, n = case["words"], len(case["words"])
    mask = torch.arange(words.shape[1]) < case["lengths"][:, None]
    region_mask = torch.ones(case["images"].shape[:2], dtype=torch.bool)
    images = method.encode_images(case["images"], region_mask)
    pooled = MaxKPooling(k=2)(words, mask)
    texts = Encoded(vector=pooled / pooled.norm(dim=1, keepdim=True), fragments=words, mask=mask)
    close(images.vector, case["img_emb"])
    close(texts.vector, case["cap_emb"])

    connected, relevance = method.sample_relations.relations(images, texts)
    for name in ("i2i", "t2t", "i2t", "t2i"):
        assert torch.equal(connected[name], case[f"connect_{name}"])
        close(relevance[name], case[f"relation_{name}"])
    close(method.sample_relations(images, texts)[2], case["reg_loss"])
    batch = Batch(
        regions=case["images"], region_mask=region_mask, boxes=None, tokens=torch.zeros(mask.shape, dtype=torch.long),
        token_mask=mask, image_ids=torch.arange(n),
    )  # fmt: skip
    loss, _ = method.loss(batch, images, texts, HARDEST)
    close(loss, case["loss"])


@pytest.mark.parametrize("loss", ["hinge", "distance_weighted"])
@pytest.mark.parametrize("start_step", [0, 1000])
def test_promises(loss: str, start_step: int) -> None:
    method = small(loss=loss, start_step=start_step)
    check_evaluation(method)
    check_training(method, same_image_is_no_negative=start_step > 0)


def test_siblings_are_no_negatives_of_enhanced_embeddings_either() -> None:
    method = small(loss="hinge", relevance_weight=0.0).eval()
    siblings = Batch(**{**vars(ragged_batch()), "image_ids": torch.zeros(5, dtype=torch.long)})
    loss, terms = method.loss(siblings, *encode(method, siblings), HARDEST)
    assert loss == terms["enhanced"] == 0


def test_relations_start_late_and_teach_the_encoders() -> None:
    method, batch = small(loss="hinge", start_step=3).eval(), ragged_batch()
    early = method.loss(batch, *encode(method, batch), HARDEST)[1]
    assert "enhanced" not in early
    method = small(loss="hinge").eval()
    images, texts = encode(method, batch)
    _, terms = method.loss(batch, images, texts, HARDEST)
    assert terms["enhanced"] > 0
    assert terms["relevance"] > 0
    enhanced, _, _ = method.sample_relations(images, texts)
    direction = torch.randn(12, generator=torch.Generator().manual_seed(0))
    (gradient,) = torch.autograd.grad(enhanced[0] @ direction, images.vector)
    assert gradient[1:].abs().max() > 0  # the other samples matter


def test_similarities_are_those_of_a_loop_without_padding() -> None:
    generator = torch.Generator().manual_seed(0)
    batch = ragged_batch(extra=2)
    regions, words = torch.randn(5, 7, 12, generator=generator), torch.randn(5, 8, 12, generator=generator)
    images = Encoded(fragments=regions, mask=batch.region_mask)
    texts = Encoded(fragments=words, mask=batch.token_mask)
    t2i_best, t2i_mean, i2t_best, i2t_mean = fragment_similarities(images, texts, top_k=2)
    unit = torch.nn.functional.normalize
    for c in range(5):
        for i in range(5):
            similarity = unit(words[c][texts.mask[c]], dim=1) @ unit(regions[i][images.mask[i]], dim=1).T
            similarity = torch.nn.functional.leaky_relu(similarity, 0.1)
            for values, best, mean in (
                (unit(similarity, dim=0).amax(1), t2i_best[c, i], t2i_mean[c, i]),
                (unit(similarity, dim=1).amax(0), i2t_best[i, c], i2t_mean[i, c]),
            ):
                close(mean, values.mean(), atol=1e-6)
                padded = torch.cat([values.sort(descending=True).values, torch.zeros(2)])[:2]
                close(best, padded if len(values) < 2 else values.topk(2).values, atol=1e-6)


def test_the_relation_module_is_for_training_only() -> None:
    method = small()
    assert method.training_only == ("sample_relations",)
    with torch.no_grad():
        images, texts = encode(method.eval(), ragged_batch())
    assert images.fragments is None
    assert texts.fragments is None


def test_heads_must_divide_the_width() -> None:
    with pytest.raises(ValidationError, match="16 does not divide embedding_dim 100"):
        HREMParameters(embedding_dim=100)
