"""VSE++ equals its authors' code, with the sum of violations and with hardest negatives, and keeps every promise."""

from __future__ import annotations

import pytest
import torch

from baselines.vsepp import VSEPP, VSEPPParameters, from_published
from lgsf.data.batches.batch import Batch
from lgsf.models.base import Progress
from tests.support.golden import Golden, close
from tests.support.properties import SPEC, check_evaluation, check_training


@pytest.mark.parametrize("hardest", [False, True])
def test_golden(hardest: bool) -> None:
    case = Golden("vsepp_max" if hardest else "vsepp_sum")
    method = VSEPP(VSEPPParameters(embedding_dim=32, word_dim=20), case.spec)
    method.load_state_dict(from_published(case.weights))
    captions = case["captions"]
    batch = Batch(
        regions=case["images"].unsqueeze(1),  # the file holds the mean of the regions
        region_mask=torch.ones(6, 1, dtype=torch.bool),
        boxes=None,
        tokens=captions,
        token_mask=torch.arange(captions.shape[1]) < case["lengths"][:, None],
        image_ids=torch.arange(6),
    )
    images = method.encode_images(batch.regions, batch.region_mask)
    texts = method.encode_texts(batch.tokens, batch.token_mask)
    close(images.vector, case["img_emb"])
    close(texts.vector, case["cap_emb"])
    close(method.similarity(images, texts), case["sims"])
    loss, terms = method.loss(batch, images, texts, Progress(step=0, total_steps=1, hardest=hardest))
    close(loss.double(), case["loss"])
    close(terms["hinge"].double(), case["loss"])
    loss.backward()
    ours = {name: parameter.grad for name, parameter in method.named_parameters()}
    expected = from_published(case.gradients)
    assert ours.keys() == expected.keys()
    for name, gradient in expected.items():
        close(ours[name], gradient)


def test_the_image_is_the_mean_of_its_valid_regions() -> None:
    torch.manual_seed(0)
    method = VSEPP(VSEPPParameters(embedding_dim=8, word_dim=4), SPEC)
    regions = torch.randn(2, 4, SPEC.region_dim)
    mask = torch.tensor([[True, True, False, False], [True] * 4])
    vector = method.encode_images(regions, mask).vector
    means = torch.stack([regions[0, :2].mean(0), regions[1].mean(0)])
    expected = torch.nn.functional.normalize(method.fc(means))
    close(vector, expected)


def test_promises() -> None:
    torch.manual_seed(0)
    method = VSEPP(VSEPPParameters(embedding_dim=12, word_dim=6), SPEC)
    check_evaluation(method)
    check_training(method)
