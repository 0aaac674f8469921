"""What a run has done so far, and what it leaves behind when it is finished."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lgsf.config.run_settings import RunSettings
from lgsf.models.base import Method
from lgsf.models.pretrained import Pretrained
from lgsf.pretrained.read import RUN_FILES, keep_bert
from lgsf.runs.log import NAME as LOG
from lgsf.runs.log import write_log
from lgsf.runs.origin import digests
from lgsf.runs.provenance import now, peak_gpu_memory_mb, peak_memory_mb
from lgsf.runs.record import RunRecord, write_record
from lgsf.runs.weights import save_weights, split_weights
from lgsf.system.hashes import fingerprint
from lgsf.system.project.closure import ROOT


@dataclass
class Done:
    """Progress of a run that must survive a kill, beside weights, optimizer and generators.

    epoch, step  finished epochs and steps;  resumed  how often it went on
    seconds, cpu_seconds  spent so far, by the clock on the wall and by processors
    best         weights of the epoch that is best on dev;  log  one line per epoch
    """

    started: str = field(default_factory=now)
    epoch: int = 0
    step: int = 0
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    resumed: int = 0
    best_epoch: int = 0
    best_rsum: float = -math.inf
    best: dict[str, Tensor] = field(default_factory=dict)
    log: list[dict[str, Any]] = field(default_factory=list)

    def keep_best(self, epoch: int, rsum: float, method: Method) -> bool:
        """Remember the weights if `rsum` is the highest so far; the first of equals stays."""
        if not rsum > self.best_rsum:
            return False
        self.best_epoch, self.best_rsum = epoch, rsum
        self.best = {name: tensor.detach().cpu().clone() for name, tensor in method.state_dict().items()}
        return True


def publish(
    out: Path,
    *,
    done: Done,
    method: Method,
    settings: RunSettings,
    seed: int,
    steps_per_epoch: int,
    device: torch.device,
    elsewhere_mb: tuple[float, float],
    pretrained: Pretrained,
    origin: Mapping[str, Any],
) -> None:
    """Write the weights of the best epoch, the log and the record; `method` takes on those weights.

    elsewhere_mb  peaks of the other processes of this training: of all their memory, and of the GPU that held most
    origin  what `lgsf.runs.provenance.provenance` said when the inputs were opened
    """
    method.load_state_dict(done.best)
    deployed, training = split_weights(method)
    files = save_weights(out, deployed, training)
    keep_bert(out, pretrained.bert)
    write_log(out, done.log)
    on_gpu = peak_gpu_memory_mb(device)
    record = RunRecord(
        **origin,
        files=files | digests(out, (LOG, *(f"bert/{name}" for name in RUN_FILES))),
        kind="trained",
        dataset=settings.dataset,
        method=settings.method,
        threads=settings.threads,
        seed=seed,
        text_encoder=method.text_encoder_name,
        pretrained=dict(pretrained.record),
        learning_rate_factors=method.learning_rate_factors(),
        config=settings.plain(),
        config_sha256=fingerprint(settings.plain(), [], ROOT),
        started=done.started,
        ended=now(),
        seconds=done.seconds,
        cpu_seconds=done.cpu_seconds,
        peak_memory_mb=peak_memory_mb() + elsewhere_mb[0],
        peak_gpu_memory_mb=None if on_gpu is None else max(on_gpu, elsewhere_mb[1]),
        parameters=sum(tensor.numel() for tensor in deployed.values()),
        parameters_training_only=sum(tensor.numel() for tensor in training.values()),
        steps=done.step,
        steps_per_epoch=steps_per_epoch,
        hardest_from_step=settings.training.sum_steps,
        best_epoch=done.best_epoch,
        dev_looks=len(done.log),
        dev=done.log[done.best_epoch - 1]["dev"],
        ending="finished",
        resumed=done.resumed,
    )
    write_record(out, record)
