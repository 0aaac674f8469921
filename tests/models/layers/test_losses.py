"""The hinge: worked by hand, against a slow loop, and on the plateau."""

from __future__ import annotations

import pytest
import torch

from lgsf.models.layers.losses import hinge_triplet, plateau

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
    assert negatives.exist
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
    loss.backward()
    assert loss == 0
    assert terms["hardest_score"] == 0
    assert not negatives.exist
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
