"""Losses: worked by hand, against slow loops, and the plain triplet byte for byte at weight 0."""

from __future__ import annotations

import math
from typing import Literal

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from lgsf.models.losses import angular_constraint, hinge_triplet, plateau

# image rows, caption columns
SCORES = torch.tensor([[0.5, 0.4, 0.1], [0.2, 0.6, 0.7], [0.0, 0.3, 0.9]])
IDS = torch.tensor([4, 7, 9])


def test_hinge_by_hand() -> None:
    # i2t: row 0 .1 (0.4), row 1 .3 (0.7); t2i: column 1 none (0.4, 0.3 < 0.4 + eps), column 2 none but 0.7: 0
    # margin 0.2: row 0: .2+.4-.5=.1; row 1: .2+.7-.6=.3; row 2: 0; columns 0: 0; 1: .2+.4-.6=0; 2: .2+.7-.9=0
    total, terms, negatives = hinge_triplet(SCORES, IDS, margin=0.2, hardest=False)
    torch.testing.assert_close(total, torch.tensor(0.4))
    hard, _, _ = hinge_triplet(SCORES, IDS, margin=0.4, hardest=True)
    # rows: .3, .5, 0; columns: .1 (row 1: .2), .2 (row 0: .4), .2 (row 1: .7)
    torch.testing.assert_close(hard, torch.tensor(1.3))
    everything, _, _ = hinge_triplet(SCORES, IDS, margin=0.4, hardest=False)
    # and the others: row 1 column 0: 0; row 2 column 1: 0; column 1 row 2: .1
    torch.testing.assert_close(everything, torch.tensor(1.4))
    assert negatives.caption.tolist() == [1, 2, 1]
    assert negatives.image.tolist() == [1, 0, 1]
    assert negatives.exists.all()
    torch.testing.assert_close(terms["positive_score"], torch.tensor(2.0 / 3))
    torch.testing.assert_close(terms["hardest_score"], torch.tensor((0.4 + 0.7 + 0.3 + 0.2 + 0.4 + 0.7) / 6))


def test_pairs_of_one_image_are_no_negatives() -> None:
    ids = torch.tensor([4, 4, 9])
    hard, terms, negatives = hinge_triplet(SCORES, ids, margin=0.4, hardest=True)
    # rows: 0 (0.1 against .5), .5, 0 (.3 - .9); columns: 0, 0 (row 2: .3 against .6 -> .1), .2
    torch.testing.assert_close(hard, torch.tensor(0.0 + 0.5 + 0.0 + 0.0 + 0.1 + 0.2))
    assert negatives.caption.tolist() == [2, 2, 1]
    assert negatives.image.tolist() == [2, 2, 1]
    torch.testing.assert_close(terms["hardest_score"], torch.tensor((0.1 + 0.7 + 0.3 + 0.0 + 0.3 + 0.7) / 6))


@pytest.mark.parametrize("hardest", [False, True])
def test_a_batch_without_negatives_has_no_loss(hardest: bool) -> None:
    scores = SCORES.clone().requires_grad_()
    loss, terms, negatives = hinge_triplet(scores, torch.zeros(3, dtype=torch.long), margin=0.2, hardest=hardest)
    unit = F.normalize(torch.randn(3, 4), dim=1)
    angular, activity = angular_constraint(unit, unit, negatives, angle_degrees=40, form="soft")
    (loss + angular).backward()
    assert loss == 0
    assert angular == 0
    assert terms["hardest_score"] == 0
    assert activity["angular_active"] == 0
    assert scores.grad is not None
    assert (scores.grad == 0).all()


@pytest.mark.parametrize("hardest", [False, True])
def test_hinge_equals_a_loop(hardest: bool) -> None:
    generator = torch.Generator().manual_seed(0)
    scores = torch.rand(9, 9, generator=generator)
    ids = torch.randint(5, (9,), generator=generator)
    expected = 0.0
    for i in range(9):
        others = [j for j in range(9) if ids[j] != ids[i]]
        captions = [max(0.0, 0.2 + float(scores[i, j] - scores[i, i])) for j in others]
        images = [max(0.0, 0.2 + float(scores[j, i] - scores[i, i])) for j in others]
        expected += max(captions) + max(images) if hardest else sum(captions) + sum(images)
    loss, _, _ = hinge_triplet(scores, ids, margin=0.2, hardest=hardest)
    torch.testing.assert_close(float(loss), expected, atol=1e-4, rtol=0)


def test_equal_embeddings_sit_on_the_plateau() -> None:
    loss, _, _ = hinge_triplet(torch.ones(128, 128), torch.arange(128), margin=0.2, hardest=True)
    assert plateau(128, 0.2) == pytest.approx(51.2)
    assert float(loss) == pytest.approx(51.2, rel=1e-6)


def _slow_angular(
    v: Tensor, u: Tensor, caption: Tensor, image: Tensor, angle: float, form: Literal["soft", "hinge"]
) -> Tensor:
    """From the distances of the definition: ||a - p||^2 - 4 tan^2 ||n - (a + p) / 2||^2."""
    squared = math.tan(math.radians(angle)) ** 2
    total = torch.zeros(())
    for i in range(len(v)):
        for a, p, n in ((v[i], u[i], u[caption[i]]), (u[i], v[i], v[image[i]])):
            f = (a - p).square().sum() - 4 * squared * (n - (a + p) / 2).square().sum()
            total = total + (F.relu(f) if form == "hinge" else F.softplus(f - (2 - 6 * squared)))
    return total / 2


@pytest.mark.parametrize("form", ["soft", "hinge"])
@pytest.mark.parametrize("angle", [25.0, 40.0])
def test_angular_constraint_equals_its_geometry(form: Literal["soft", "hinge"], angle: float) -> None:
    torch.manual_seed(0)
    v, u = F.normalize(torch.randn(6, 5), dim=1), F.normalize(torch.randn(6, 5), dim=1)
    u = F.normalize(v + 0.8 * u, dim=1)
    _, _, negatives = hinge_triplet(v @ u.T, torch.arange(6), margin=0.2, hardest=True)
    loss, terms = angular_constraint(v, u, negatives, angle_degrees=angle, form=form)
    expected = _slow_angular(v, u, negatives.caption, negatives.image, angle, form)
    torch.testing.assert_close(loss, expected, atol=1e-5, rtol=0)
    if angle == 25.0:
        assert loss > 0.1
        assert 0 < terms["angular_active"] <= 1


def test_activity_of_the_angular_constraint() -> None:
    """(s_ap, s_an, s_pn) = (0.6, 0.45, 0.6) at 40 degrees: sigmoid(f) = 0.71, while the hinge is silent."""
    squared = math.tan(math.radians(40)) ** 2
    gram = torch.eye(4, dtype=torch.double)  # image 0, caption 0, image 1, caption 1
    gram[0, 1] = gram[2, 3] = 0.6
    gram[0, 3] = gram[1, 2] = 0.45
    gram[1, 3] = gram[0, 2] = 0.6
    gram = gram + gram.triu(1).T
    points = torch.linalg.cholesky(gram)
    v, u = points[[0, 2]], points[[1, 3]]
    _, _, negatives = hinge_triplet(v @ u.T, torch.arange(2), margin=0.2, hardest=True)
    soft, soft_terms = angular_constraint(v, u, negatives, angle_degrees=40, form="soft")
    hinge, hinge_terms = angular_constraint(v, u, negatives, angle_degrees=40, form="hinge")
    f = 4 * squared * 1.05 - 2 * (1 + squared) * 0.6
    assert float(soft) == pytest.approx(2 * math.log1p(math.exp(f)))
    assert float(soft_terms["angular_active"]) == pytest.approx(0.71, abs=0.005)
    assert float(hinge) == 0
    assert float(hinge_terms["angular_active"]) == 0
