"""Box geometry on the edges: a hand-worked pair, no say at the start, and what then depends on it."""

from __future__ import annotations

import math

import pytest
import torch

from lgsf.models.base import DataSpec
from lgsf.models.graph.geometry import relative
from lgsf.models.lgsf import LGSF, LGSFParameters
from lgsf.system.errors import LgsfError
from tests.support.properties import ragged_batch

BOXES = DataSpec(region_dim=10, vocabulary_size=30, has_boxes=True)
SMALL = {"embedding_dim": 12, "word_dim": 6, "interaction": {"kind": "none"}}


def model(spec: DataSpec = BOXES, **graph: object) -> LGSF:
    torch.manual_seed(0)
    options = {**SMALL, "graph": {"heads": 2, "ff": 8, "zero_init": False, **graph}}
    return LGSF(LGSFParameters.model_validate(options), spec).eval()


def some_boxes() -> torch.Tensor:
    return torch.rand(5, 5, 2, 2, generator=torch.Generator().manual_seed(4)).sort(dim=2).values.flatten(2)


def test_a_pair_by_hand() -> None:
    """Box 1 is twice as wide as box 0, as tall, three widths of box 0 to the right and half a height above."""
    boxes = torch.tensor([[[0.1, 0.5, 0.2, 0.7], [0.35, 0.4, 0.55, 0.6]]])
    seen = relative(boxes)[0]
    expected = torch.tensor([math.log(4.0), -math.log(1.5), math.log(2.0), 0.0])
    torch.testing.assert_close(seen[0, 1], expected)
    back = torch.tensor([-math.log(2.5), math.log(1.5), -math.log(2.0), 0.0])
    torch.testing.assert_close(seen[1, 0], back)
    assert (seen[[0, 1], [0, 1]] == 0).all()
    assert relative(torch.zeros(1, 3, 4)).isfinite().all()  # padding


@pytest.mark.parametrize("kind", ["gat", "gatv2"])
def test_it_starts_without_a_say_and_then_matters(kind: str) -> None:
    batch, boxes = ragged_batch(), some_boxes()
    plain, method = model(kind=kind), model(kind=kind, geometry=True)
    missing, unexpected = method.load_state_dict(plain.state_dict(), strict=False)
    assert not unexpected and all("geometry" in name for name in missing)
    expected = plain.encode_images(batch.regions, batch.region_mask, boxes).vector
    assert expected is not None
    vector = method.encode_images(batch.regions, batch.region_mask, boxes).vector
    assert vector is not None and torch.equal(vector, expected)

    loss = (vector * torch.linspace(-1, 1, 12)).sum()
    loss.backward()
    last = next(p for name, p in method.named_parameters() if name.endswith("geometry.net.2.weight"))
    assert last.grad is not None and last.grad.abs().max() > 0
    with torch.no_grad():
        last.normal_(0, 3, generator=torch.Generator().manual_seed(1))
    moved = method.encode_images(batch.regions, batch.region_mask, boxes).vector
    assert moved is not None and (moved - vector).abs().max() > 1e-3
    shifted = method.encode_images(batch.regions, batch.region_mask, boxes * 0.5).vector
    assert shifted is not None
    torch.testing.assert_close(shifted, moved, atol=1e-4, rtol=0)  # relative: place and size of the whole do not count


def test_it_needs_boxes_and_scores_of_our_own() -> None:
    with pytest.raises(LgsfError, match="need region boxes"):
        model(DataSpec(region_dim=10, vocabulary_size=30), geometry=True)
    with pytest.raises(LgsfError, match=r"graph\.geometry is for kinds gat and gatv2"):
        model(kind="torch_geometric.nn:GCNConv", geometry=True)
