"""Distance-weighted negatives: the distribution they are drawn from, who can be drawn, and the sum of the hinge."""

from __future__ import annotations

import math

import torch

from lgsf.models.layers.distance_weighted import _one_direction, distance_weighted_triplet, log_weights


def cosine(distance: float) -> float:
    return 1 - distance**2 / 2


def test_weights_undo_the_density_of_distances_on_the_sphere() -> None:
    """Density q(d) ~ d^(n-2) (1 - d^2 / 4)^((n-3)/2); below 0.5 the weight stays that of 0.5."""
    distances = torch.tensor([0.5, 0.9, 1.3, math.sqrt(2), 1.7])
    n = 16
    density = distances ** (n - 2) * (1 - distances**2 / 4) ** ((n - 3) / 2)
    weights = log_weights(1 - distances**2 / 2, n)
    torch.testing.assert_close(weights, -density.log())
    assert log_weights(torch.tensor(cosine(0.1)), n) == weights[0]
    assert log_weights(torch.tensor([-1.0, 1.0]), 512).isfinite().all()


def test_draws_follow_the_weights() -> None:
    torch.manual_seed(0)
    row = torch.tensor([0.9, cosine(1.30), cosine(1.32), cosine(1.35), cosine(1.8)])
    draws = 4000
    # One anchor, many times: its gradient is +1 at the negative that was drawn and -1 at the positive.
    scores = row.repeat(draws, 1).requires_grad_()
    positive = torch.zeros(draws, 5, dtype=torch.bool)
    positive[:, 0] = True
    _one_direction(
        scores, positive, positive.nonzero(as_tuple=True), margin=5.0, farthest=1.7, sphere_dim=64
    ).backward()
    assert scores.grad is not None
    share = scores.grad.mean(0)
    assert share[0] == -1
    assert share[4] == 0  # out of reach
    expected = log_weights(row[1:4], 64).softmax(0)
    assert (share[1:4] - expected).abs().max() < 4 * 0.5 / math.sqrt(draws)


def test_positives_and_far_samples_are_never_drawn() -> None:
    scores = torch.tensor([[0.5, 0.4, -0.9], [0.4, 0.5, -0.9], [-0.9, -0.9, 0.5]])
    ids = torch.tensor([7, 7, 3])  # the first two are siblings; the third is farther than 1.9 from them
    loss, _ = distance_weighted_triplet(scores, ids, margin=0.2, farthest=1.9)
    assert loss == 0
    loss, _ = distance_weighted_triplet(scores, ids, margin=2.0, farthest=2.0)
    # Rows 0 and 1: two positives each against -0.9; row 2: one. Both directions.
    expected = 2 * (2 * (2.0 - 0.9 - 0.5) + 2 * (2.0 - 0.9 - 0.4) + (2.0 - 0.9 - 0.5))
    torch.testing.assert_close(loss, torch.tensor(expected))


def test_one_pair_has_no_negative() -> None:
    scores = torch.ones(1, 1, requires_grad=True)
    loss, _ = distance_weighted_triplet(scores, torch.zeros(1, dtype=torch.long), margin=0.2, farthest=1.9)
    loss.backward()
    assert loss == 0
    assert scores.grad is not None
    assert scores.grad.isfinite().all()
