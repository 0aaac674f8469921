"""A method that has its own process killed in the middle of an epoch, once."""

from __future__ import annotations

import os
from pathlib import Path

from torch import Tensor

from lgsf.data.batches.batch import Batch
from lgsf.models.base import DataSpec, Encoded, Progress
from lgsf.models.lgsf import LGSF, LGSFParameters


class KilledOnceParameters(LGSFParameters):
    """LGSF's options, where to look for the order to die, a file that holds a signal's number, and which rank obeys."""

    order: str
    at_step: int
    rank: int = 0


class KilledOnce(LGSF):
    """LGSF that sends itself the signal named in the file `order` when it reaches `at_step`."""

    Parameters = KilledOnceParameters

    def __init__(self, options: KilledOnceParameters, spec: DataSpec) -> None:
        super().__init__(options, spec)
        self.order, self.at_step = Path(options.order), options.at_step
        self.obeys = os.environ.get("RANK", "0") == str(options.rank)

    def loss(
        self, batch: Batch, images: Encoded, texts: Encoded, progress: Progress
    ) -> tuple[Tensor, dict[str, Tensor]]:
        if self.obeys and progress.step == self.at_step and self.order.is_file():
            number = int(self.order.read_text())
            self.order.unlink()
            os.kill(os.getpid(), number)
        return super().loss(batch, images, texts, progress)
