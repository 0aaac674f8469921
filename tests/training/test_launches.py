"""What a training step of config/coco.yaml asks of a GPU, counted without one: it must not grow, and never waits."""

from __future__ import annotations

import pytest
import torch

from tests.support.coco_step import coco_step
from tests.support.launches import META, counted

# Launches of encoders, loss and gradient, and gigabytes that all kernels of the step move: as counted, and a little more.
LIMITS = {
    "lgsf": (380, 11.8),
    "vse_inf": (160, 2.2),
    "vsepp": (80, 1.0),
    "scan_t2i": (220, 5.2),
    "scan_i2t": (225, 8.5),
    "hrem": (465, 20.0),
    "sgr": (1420, 93.0),
    "saf": (1320, 64.0),
}
UPDATE = 12  # launches of clipping and a fused optimizer, whatever the method
UPLOADS = 3  # small index tensors that a step sends to the device


@pytest.mark.parametrize("name", LIMITS)
def test_a_step_stays_within_its_launches_and_never_waits(name: str) -> None:
    step = coco_step(name)  # a wait raises: no value can be read on the meta device
    launches, gigabytes = LIMITS[name]
    assert launches * 0.9 < step.launches <= launches, step.counted.lines.most_common(20)
    assert gigabytes * 0.8 < step.counted.bytes / 1e9 <= gigabytes, step.counted.moved.most_common(20)
    assert step.update <= UPDATE
    assert step.counted.uploads.total() <= UPLOADS, step.counted.uploads


def test_the_counter_counts_kernels_bytes_and_uploads() -> None:
    x, w = torch.empty(4, 3, device=META, requires_grad=True), torch.empty(3, 5, device=META)
    with counted() as counter:
        y = (x @ w).T.relu()  # two kernels, the view is none
        y.sum().backward()  # forward: sum; backward: ones, threshold, matrix product; the expansion is a view
        torch.arange(3).to(META)  # an upload is a launch as well
    kernels = {"mm": 2, "relu": 1, "sum": 1, "ones_like": 1, "threshold_backward": 1}
    assert counter.operations == kernels | {"_to_copy": 1}
    assert counter.launches == 7
    assert counter.moved["relu"] == 2 * 4 * 5 * 4
    assert counter.moved["mm"] == 4 * (4 * 3 + 3 * 5 + 4 * 5) * 2
    assert counter.uploads.total() == 1


@pytest.mark.parametrize("wait", [float, torch.Tensor.tolist, torch.nonzero, lambda x: x[x > 0], bool])
def test_whatever_waits_for_a_value_is_noticed(wait) -> None:
    with counted(), pytest.raises((NotImplementedError, RuntimeError), match=r"meta|data-independent|no data"):
        wait(torch.empty((), device=META) if wait in (float, bool) else torch.empty(3, device=META))
