"""A training step at the size of config/coco.yaml, without values: what `tests.support.launches` counts."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

import torch
import yaml
from torch import Tensor

from lgsf.config.file import Config
from lgsf.config.run_settings import RunSettings
from lgsf.data.batches.batch import Batch
from lgsf.models.base import DataSpec
from lgsf.models.build import check_settings, method_class, parameters_of
from lgsf.models.kernels.collective import ALONE
from lgsf.models.sizing import sketched
from lgsf.system.settings import deep_merge
from lgsf.training.optimizer import build_optimizer
from lgsf.training.ranks import Ranks
from lgsf.training.trainer import Trainer
from tests.support.launches import META, Launches, counted

ROOT = Path(__file__).resolve().parents[2]
REGIONS, REGION_DIM, VOCABULARY = 36, 2048, 9500
SHORTEST, MEAN, LONGEST = 7, 12.5, 26  # words of a caption, <start> and <end> with them; the longest of a batch


@dataclass(frozen=True)
class Step:
    """Launches of the parts of a step: encoders and loss, backward, clipping and optimizer; and all that was counted."""

    forward: int
    backward: int
    update: int
    counted: Launches

    @property
    def launches(self) -> int:
        """Without clipping and optimizer, which torch does in a few launches whatever the method."""
        return self.forward + self.backward


def settings_of(name: str) -> RunSettings:
    """The settings of a method of config/coco.yaml, defaults filled in."""
    default, coco = (yaml.safe_load((ROOT / f"config/{f}.yaml").read_text()) for f in ("config", "coco"))
    config = Config.parse(deep_merge(default, coco), source="config/coco.yaml")
    return check_settings(config.run_settings("coco", name), source="config/coco.yaml")


def coco_batch(size: int, *, region_drop: float) -> Batch:
    """Masks as of a shuffled batch of COCO, all pairs of different images; features and words are of no account."""
    generator = torch.Generator().manual_seed(0)
    lengths = (SHORTEST + torch.poisson(torch.full((size,), MEAN - SHORTEST), generator=generator)).clamp(max=LONGEST)
    lengths[0] = LONGEST
    kept = (torch.rand(size, REGIONS, generator=generator) >= region_drop).sum(1).clamp(min=1)
    token_mask = torch.arange(LONGEST) < lengths[:, None]
    region_mask = torch.arange(int(kept.max())) < kept[:, None]
    return Batch(
        regions=torch.empty(*region_mask.shape, REGION_DIM, device="meta"),
        region_mask=region_mask,
        boxes=None,
        tokens=torch.zeros(token_mask.shape, dtype=torch.long),
        token_mask=token_mask,
        image_ids=torch.arange(size),
    )


def coco_step(name: str) -> Step:
    """Count one step of the trainer, with hardest negatives and all that training alone uses."""
    settings = settings_of(name)
    options, training = parameters_of(settings, source=name), settings.training
    spec = DataSpec(region_dim=REGION_DIM, vocabulary_size=VOCABULARY)
    method = sketched(lambda: method_class(settings.model, source=name)(options, spec)).train()
    whole = coco_batch(training.batch_size, region_drop=training.region_drop)
    optimizer = build_optimizer(method, training)
    ranks = Ranks(ALONE, META)
    trainer = SimpleNamespace(
        options=training, optimizer=optimizer, method=method, device=META, total_steps=10**6, ranks=ranks
    )
    for _ in range(2):  # the second step finds the constants of the first
        seen: list[int] = []
        batch = whole.to(META)
        with counted() as counter, mock.patch("torch.autograd.backward", partial(_backward, counter, seen)):
            Trainer._step(trainer, batch, 10**6 - 1, training.epochs)  # type: ignore[arg-type]
    return Step(seen[0], seen[1] - seen[0], counter.launches - seen[1], counter)


_torch_backward = torch.autograd.backward


def _backward(counter: Launches, seen: list[int], loss: Tensor) -> None:
    seen.append(counter.launches)
    _torch_backward(loss)
    seen.append(counter.launches)
