"""What closes the triangle: worked by hand, against slow loops over definitions, gradients by finite differences."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import replace
from typing import Literal, get_args

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from lgsf.models.layers.losses import HardestNegatives, hinge_triplet
from lgsf.models.triangle import (
    TriangleParameters,
    angular_constraint,
    full_hard_negatives,
    intra_band,
    structure_preserving,
    triangle_term,
)
from tests.support.accelerator import accelerator

FORMS: tuple[str, ...] = get_args(TriangleParameters.model_fields["form"].annotation)
VALUE = {
    "soft": "angular",
    "hinge": "angular",
    "fullhn": "fullhn",
    "structure": "structure",
    "intra_band": "intra_band",
}


@pytest.fixture(autouse=True, params=["cpu", "accelerator"])
def _form(request: pytest.FixtureRequest) -> Iterator[None]:
    """Every test in the form that a CPU takes, and in that of an accelerator."""
    with accelerator() if request.param == "accelerator" else nullcontext():
        yield


def _points(*angles: float) -> Tensor:
    """Points of the unit circle at these degrees: the cosine of two is that of the difference."""
    radians = torch.tensor(angles, dtype=torch.double) * math.pi / 180
    return torch.stack([radians.cos(), radians.sin()], dim=1)


def _batch(n: int, *, images: int, seed: int = 0) -> tuple[Tensor, Tensor, Tensor, HardestNegatives]:
    """Loosely matching pairs in double precision; some show the same image where n > images."""
    generator = torch.Generator().manual_seed(seed)
    draw = torch.randn(3, n, 5, generator=generator, dtype=torch.double)
    v, u = F.normalize(draw[0] + draw[1], dim=1), F.normalize(draw[0] + draw[2], dim=1)
    ids = torch.arange(n) % images
    return v, u, ids, hinge_triplet(v @ u.T, ids, margin=0.2, hardest=True)[2]


def _term(
    form: str, v: Tensor, u: Tensor, ids: Tensor, negatives: HardestNegatives
) -> tuple[Tensor, dict[str, Tensor]]:
    options = TriangleParameters.model_validate({"form": form, "angle_degrees": 30.0})
    return triangle_term(options, v, u, ids, negatives, margin=0.3)


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


# images at 0, 90, 180 and captions at 20, 100, 150 degrees
V, U, IDS = _points(0, 90, 180), _points(20, 100, 150), torch.tensor([4, 7, 9])


def test_fullhn_by_hand() -> None:
    _, _, negatives = hinge_triplet(V @ U.T, IDS, margin=0.2, hardest=True)
    assert negatives.caption.tolist() == [1, 2, 1]  # 100, 60 and 80 degrees away
    assert negatives.image.tolist() == [1, 2, 1]  # 70, 80 and 60 degrees away
    loss, terms = full_hard_negatives(V, U, IDS, negatives, margin=0.5)

    def cos(degrees: float) -> float:
        return math.cos(math.radians(degrees))

    # matching pairs are 20, 10 and 30 degrees apart; images and captions of hardest negatives:
    images = max(0, 0.5 + cos(90) - cos(20)) + max(0, 0.5 + cos(90) - cos(10)) + max(0, 0.5 + cos(90) - cos(30))
    captions = max(0, 0.5 + cos(80) - cos(20)) + max(0, 0.5 + cos(50) - cos(10)) + max(0, 0.5 + cos(50) - cos(30))
    # the hardest image and the hardest caption match each other in every row, so the last side is left out
    assert images == 0
    assert captions == pytest.approx(0.158 + 0.277, abs=1e-3)
    assert float(loss) == pytest.approx(0.1 * captions)
    assert [float(terms[f"fullhn_{side}"]) for side in ("images", "captions", "negatives")] == pytest.approx(
        [0, 2 / 3, 0]
    )


def test_fullhn_looks_at_the_pair_of_negatives_where_they_do_not_match() -> None:
    v, u = _points(0, 40, 300), _points(10, 330, 60)
    negatives = HardestNegatives(caption=torch.tensor([1, 0, 1]), image=torch.tensor([2, 0, 0]), exist=True)
    loss, terms = full_hard_negatives(v, u, torch.tensor([0, 1, 2]), negatives, margin=0.4)
    c = [math.cos(math.radians(d)) for d in (60, 40, 30, 10, 70)]
    first = 0.01 * max(0, 0.4 + c[0] - c[3]) + 0.1 * max(0, 0.4 + c[1] - c[3]) + max(0, 0.4 + c[2] - c[3])
    # row 1: image 0 and caption 0 match
    second = 0.01 * max(0, 0.4 + c[1] - c[4]) + 0.1 * max(0, 0.4 + c[1] - c[4])
    third = 0.01 * (0.4 + 0.5 + 0.5) + 0.1 * (0.4 + 0.0 + 0.5) + (0.4 + c[2] + 0.5)  # the pair is at 240 degrees
    assert float(loss) == pytest.approx(first + second + third)
    assert float(terms["fullhn_negatives"]) == pytest.approx(2 / 3)
    nothing = replace(negatives, exist=False)
    assert full_hard_negatives(v, u, torch.tensor([0, 0, 0]), nothing, margin=0.4)[0] == 0


def _slow_fullhn(v: Tensor, u: Tensor, ids: Tensor, margin: float) -> float:
    """From the similarity of every pair, hardest negatives found anew."""
    total = 0.0
    for i in range(len(v)):
        others = [j for j in range(len(v)) if ids[j] != ids[i]]
        hard_caption = max(others, key=lambda j: float(v[i] @ u[j]))
        hard_image = max(others, key=lambda j: float(v[j] @ u[i]))
        match = float(v[i] @ u[i])
        total += max(0.0, margin + float(v[i] @ v[hard_image]) - match) / 100
        total += max(0.0, margin + float(u[i] @ u[hard_caption]) - match) / 10
        if ids[hard_image] != ids[hard_caption]:
            total += max(0.0, margin + float(v[hard_image] @ u[hard_caption]) - match)
    return total


@pytest.mark.parametrize("images", [6, 12])
def test_fullhn_equals_a_loop(images: int) -> None:
    v, u, ids, negatives = _batch(12, images=images)
    loss, terms = full_hard_negatives(v, u, ids, negatives, margin=0.3)
    assert float(loss) == pytest.approx(_slow_fullhn(v, u, ids, 0.3), abs=1e-9)
    assert float(loss) > 0.5
    assert 0 < terms["fullhn_negatives"] < 1


def test_structure_by_hand() -> None:
    captions = _points(0, 60, 90)  # chords: 1 between the first two, 2 sin 45 and 2 sin 15 to the third
    ids = torch.tensor([5, 5, 8])
    loss, terms = structure_preserving(captions, ids, margin=0.2)
    near, far, close = math.sqrt(1 + 1e-4), math.sqrt(2 + 1e-4), math.sqrt((2 * math.sin(math.pi / 12)) ** 2 + 1e-4)
    # anchor 0: 0.2 + 1 - 1.41 < 0; anchor 1: 0.2 + 1 - 0.52; anchor 2 has no neighbour
    assert 0.2 + near - far < 0
    assert float(loss) == pytest.approx(0.2 + near - close)
    assert float(terms["structure_active"]) == pytest.approx(1 / 2)
    assert float(terms["structure_neighbours"]) == pytest.approx(2 / 3)


def _slow_structure(u: Tensor, ids: Tensor, margin: float) -> float:
    def distance(i: int, j: int) -> float:
        return math.sqrt(float((u[i] - u[j]).square().sum()) + 1e-4)

    n = len(u)
    return sum(
        max(0.0, margin + distance(i, j) - distance(i, k))
        for i in range(n)
        for j in range(n)
        for k in range(n)
        if i != j and ids[i] == ids[j] and ids[k] != ids[i]
    )


@pytest.mark.parametrize("images", [4, 7])
def test_structure_equals_a_loop(images: int) -> None:
    _, u, ids, _ = _batch(10, images=images)
    loss, _ = structure_preserving(u, ids, margin=0.3)
    assert float(loss) == pytest.approx(_slow_structure(u, ids, 0.3), abs=1e-9)
    assert float(loss) > 1


def test_structure_is_silent_without_siblings() -> None:
    """The usual batch on large data: one caption per image."""
    v, u, ids, negatives = _batch(8, images=8)
    u.requires_grad_()
    loss, terms = _term("structure", v, u, ids, negatives)
    loss.backward()
    assert loss == 0
    assert terms["structure_neighbours"] == terms["structure_active"] == 0
    assert u.grad is not None
    assert (u.grad == 0).all()


def test_intra_band_by_hand() -> None:
    images = _points(0, 30, 90)  # cosines .87, 0 and .5 (not above .5)
    captions = _points(0, 10, 40)  # .98 (above the band), .77 and .87
    loss, terms = intra_band(images, captions, torch.tensor([1, 2, 3]))
    inside = [math.cos(math.radians(d)) for d in (30, 40, 30)]
    assert float(loss) == pytest.approx(2 * sum(inside) / 3)
    assert float(terms["intra_band_active"]) == pytest.approx(3 / 6)
    # 30 degrees apart, but of the same image
    siblings, terms = intra_band(images, captions, torch.tensor([1, 2, 2]))
    assert float(siblings) == pytest.approx(2 * (inside[0] + inside[1]) / 3)
    assert float(terms["intra_band_active"]) == pytest.approx(2 / 4)


def test_intra_band_equals_a_loop() -> None:
    v, u, ids, _ = _batch(20, images=15)
    expected = 0.0
    for x in (v, u):
        for i in range(20):
            for j in range(20):
                if ids[i] != ids[j] and 0.5 < float(x[i] @ x[j]) < 0.95:
                    expected += float(x[i] @ x[j]) / 20
    loss, _ = intra_band(v, u, ids)
    assert float(loss) == pytest.approx(expected, abs=1e-9)
    assert expected > 1


@pytest.mark.parametrize("form", FORMS)
def test_gradients_equal_finite_differences(form: str) -> None:
    v, u, ids, negatives = _batch(8, images=5, seed=3)
    inputs = (v.requires_grad_(), u.requires_grad_())
    assert _term(form, *inputs, ids, negatives)[0] > 0
    assert torch.autograd.gradcheck(lambda v, u: _term(form, v, u, ids, negatives)[0], inputs)


@pytest.mark.parametrize("form", FORMS)
def test_a_batch_of_one_image_has_no_term(form: str) -> None:
    v, u, _, _ = _batch(3, images=3)
    ids = torch.zeros(3, dtype=torch.long)
    _, _, negatives = hinge_triplet(v @ u.T, ids, margin=0.2, hardest=True)
    v.requires_grad_(), u.requires_grad_()
    loss, terms = _term(form, v, u, ids, negatives)
    loss.backward()
    assert loss == 0
    assert all(value == 0 for name, value in terms.items() if name != "structure_neighbours")
    assert all(x.grad is None or (x.grad == 0).all() for x in (v, u))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("n", [2, 9])
def test_equal_embeddings_have_a_finite_gradient(form: str, n: int) -> None:
    """The plateau: everything in one point."""
    x = _points(15.0).expand(n, 2).clone()
    v, u = x.clone().requires_grad_(), x.clone().requires_grad_()
    ids = torch.arange(n) // 2
    _, _, negatives = hinge_triplet(v @ u.T, ids, margin=0.2, hardest=True)
    loss, terms = _term(form, v, u, ids, negatives)
    loss.backward()
    assert loss.isfinite()
    assert all(x.grad is None or x.grad.isfinite().all() for x in (v, u))
    assert all(0 <= value <= 1 for name, value in terms.items() if name != VALUE[form])


@pytest.mark.parametrize("form", FORMS)
def test_order_of_the_batch_changes_nothing(form: str) -> None:
    v, u, ids, negatives = _batch(9, images=6)
    order = torch.randperm(9, generator=torch.Generator().manual_seed(1))
    _, _, moved = hinge_triplet(v[order] @ u[order].T, ids[order], margin=0.2, hardest=True)
    first, terms = _term(form, v, u, ids, negatives)
    second, others = _term(form, v[order], u[order], ids[order], moved)
    torch.testing.assert_close(first, second)
    for name, value in terms.items():
        torch.testing.assert_close(value, others[name])
    torch.testing.assert_close(terms[VALUE[form]], first)
