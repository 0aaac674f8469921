"""The training loop: a method's own loss, selection on dev rSum alone, resume that changes no bit.

State is saved at the end of each epoch, and the batches of an epoch are a function of (seed, epoch) alone:
a run that was killed at any moment and started again repeats the broken epoch and ends with the weights of
an uninterrupted one (on one machine, CPU, with the same number of threads and of processes). Several processes may
train one run together (lgsf.training.ranks): the first of them holds its folder.
"""

from __future__ import annotations

import json
import logging
import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lgsf.config.run_settings import RunSettings, Training
from lgsf.data.batches.batch import Batch
from lgsf.data.batches.training import TrainingBatches
from lgsf.data.layout import Dataset
from lgsf.metrics.ranking import NotFiniteScoreError, rank
from lgsf.metrics.recall import metrics
from lgsf.models.base import Progress
from lgsf.models.build import build_method
from lgsf.models.kernels.joint_norm import join_norms
from lgsf.models.layers.losses import plateau
from lgsf.models.pretrained import Pretrained
from lgsf.models.scoring import TiledScores, encode_split
from lgsf.runs.log import write_log
from lgsf.runs.provenance import peak_gpu_memory_mb, peak_memory_mb, provenance
from lgsf.system.errors import LgsfError
from lgsf.system.interrupts import Interrupts
from lgsf.system.locks import Held
from lgsf.system.logs import PROGRESS, duration
from lgsf.training.finish import Done, publish
from lgsf.training.memory import full
from lgsf.training.optimizer import build_optimizer, set_learning_rate
from lgsf.training.ranks import Ranks, checksum
from lgsf.training.resume import ResumeState, rng_state, set_rng_state
from lgsf.training.step import backward

logger = logging.getLogger(__name__)


CHECK_EVERY = 20  # steps between looks at the loss: each look makes a GPU wait


PLATEAU_WIDTH = 0.02  # a loss this close to its value for equal embeddings is called collapsed


class NotFiniteError(LgsfError):
    """The loss, its gradient or a score on dev became NaN or infinite."""

    def __init__(self, what: str, step: int, epoch: int, kept: Path) -> None:
        self.what, self.step, self.epoch, self.kept = what, step, epoch, kept
        self.reason = f"{what} was not finite near step {step} in epoch {epoch}"
        saved = f"the state after epoch {epoch - 1} is kept in {kept}" if epoch > 1 else "no epoch had been finished"
        super().__init__(
            f"{self.reason}; {saved}: "
            "lower training.learning_rate or training.clip_norm, or use float32, and run again."
        )


class Trainer:
    """One run: model, optimizer, batches and the log, from a fresh or a saved state."""

    def __init__(
        self,
        settings: RunSettings,
        data: Dataset,
        pretrained: Pretrained,
        *,
        seed: int,
        ranks: Ranks,
    ) -> None:
        device = ranks.device
        self.settings, self.data, self.seed, self.device, self.ranks = settings, data, seed, device, ranks
        self.origin = provenance(data, device=device)
        if "gpus" in (where := self.origin["device"]):
            where["gpus"] = [gpu for own in ranks.texts(json.dumps(where["gpus"])) for gpu in json.loads(own)]
        self.pretrained = pretrained
        self.options = settings.training
        self.dev, self.vocabulary = data.split("dev"), data.vocabulary()
        torch.manual_seed(seed)
        self.method = build_method(settings, data, pretrained=pretrained).to(device)
        if not ranks.alone:
            join_norms(self.method)
        self.batches = TrainingBatches(
            data.split("train"), self.method.tokenizer(self.vocabulary), batch_size=self.options.batch_size, seed=seed,
            region_drop=self.options.region_drop, word_drop=self.options.word_drop,
            length_buckets=self.options.length_buckets, group=self.options.group, workers=settings.threads,
            device=device, share=(ranks.world.rank, ranks.world.size),
        )  # fmt: skip
        self.optimizer = build_optimizer(self.method, self.options)
        self.total_steps = len(self.batches) * self.options.epochs
        if self.options.warmup_steps >= self.total_steps:
            raise LgsfError(
                f"training.warmup_steps of {self.name} is {self.options.warmup_steps} and the run has {self.total_steps} "
                "steps, so the learning rate would never be reached: lower it."
            )
        self.done = Done()

    @property
    def name(self) -> str:
        return f"{self.settings.dataset}/{self.settings.method} seed {self.seed}"

    def run(self, resume: ResumeState, held: Held | None, interrupts: Interrupts) -> None:
        """Train what is left to train in the folder that is held, then publish and forget the resume state.

        Of several ranks the first alone holds it. Raises LgsfError, and publishes nothing, if an input was changed or
        the folder replaced in the meantime.
        """
        if (state := resume.load()) is not None:
            self._restore(state)
        self.ranks.agree(f"{resume.key} after epoch {self.done.epoch}", "settings, data, code or saved state")
        if state is not None and held is not None:
            logger.log(PROGRESS, "%s: resumed after epoch %d", self.name, self.done.epoch)
        self.clock = time.monotonic() - self.done.seconds
        self.cpu_clock = time.process_time(), self.done.cpu_seconds
        for epoch in range(self.done.epoch + 1, self.options.epochs + 1):
            line = self._epoch(epoch, resume, interrupts)
            self.done.epoch = epoch
            self.done.seconds = time.monotonic() - self.clock
            self.done.cpu_seconds = self._cpu_seconds()
            if held is not None:
                self.done.log.append({**line, "cpu_seconds": self.done.cpu_seconds})
                held.check()
                resume.save(
                    {
                        "done": vars(self.done),
                        "method": self.method.state_dict(),
                        "optimizer": self.optimizer.state_dict(),
                        "rng": rng_state(self.device),
                    }
                )
                write_log(held.run, self.done.log)
            interrupts.check()
        peaks = self.ranks.numbers([peak_memory_mb(), peak_gpu_memory_mb(self.device) or 0.0])
        if held is None:
            return
        held.check()
        self.data.inputs.check()
        publish(
            held.run,
            done=self.done,
            method=self.method,
            settings=self.settings,
            seed=self.seed,
            steps_per_epoch=len(self.batches),
            device=self.device,
            elsewhere_mb=(sum(own for own, _ in peaks[1:]), max((own for _, own in peaks[1:]), default=0.0)),
            pretrained=self.pretrained,
            origin=self.origin,
        )
        resume.clear()
        best = f"best epoch {self.done.best_epoch}, dev rSum {self.done.best_rsum:.1f}"
        logger.log(PROGRESS, "%s: done in %.0f s, %s", self.name, self.done.seconds, best)

    def _restore(self, state: dict[str, Any]) -> None:
        self.done = Done(**state["done"])
        self.done.resumed += 1
        self.method.load_state_dict(state["method"])
        self.optimizer.load_state_dict(state["optimizer"])
        set_rng_state(state["rng"], self.device)

    def _epoch(self, epoch: int, resume: ResumeState, interrupts: Interrupts) -> dict[str, Any]:
        """Train one pass, look at dev, return the epoch's log line; ranks but the first do not look."""
        self.method.train()
        sums: dict[str, Tensor] = {}
        self.ranks.begin_epoch(self.seed, epoch)
        first_step = step = self.done.step
        with self._fitting():
            for batch in self.batches.epoch(epoch):
                interrupts.check()
                for name, value in self._step(batch.to(self.device), step, epoch).items():
                    sums[name] = sums.get(name, torch.zeros((), device=self.device)) + value
                step += 1
                if self.options.epochs > epoch == 1 and step == CHECK_EVERY and self.ranks.first:
                    self._estimate(step)
                if step % CHECK_EVERY == 0 or step == first_step + len(self.batches):
                    for what in ("loss", "grad_norm"):
                        if not math.isfinite(float(sums[what])):
                            raise NotFiniteError(
                                "the loss" if what == "loss" else "the gradient", step, epoch, resume.path
                            )
        means = {name: float(total) / (step - first_step) for name, total in sums.items()}
        self.done.step = step
        if not self.ranks.alone:
            self.ranks.agree(checksum(self.method), f"weights after epoch {epoch}")
        if not self.ranks.first:
            return {}
        try:
            dev = self._dev()
        except NotFiniteScoreError:
            raise NotFiniteError("a score on dev", step, epoch, resume.path) from None
        best = self.done.keep_best(epoch, dev["rsum"], self.method)
        line = {
            "epoch": epoch, "step": step, "seconds": time.monotonic() - self.clock,
            "cpu_seconds": 0.0,  # of all ranks: known when those that wait have said theirs
            "learning_rate": learning_rate(self.options, step - 1, epoch),
            "loss": means.pop("loss"), "grad_norm": means.pop("grad_norm"),
            "terms": means, "dev": dev, "best": best, "plateau": self._on_plateau(means, first_step),
        }  # fmt: skip
        self._report(line)
        return line

    @contextmanager
    def _fitting(self) -> Iterator[None]:
        """Batches and steps for which the device's memory does not suffice end with what would fit, as LgsfError."""
        try:
            yield
        except torch.OutOfMemoryError as error:
            raise full(error, self.settings, self.method) from None

    def _step(self, batch: Batch, step: int, epoch: int) -> dict[str, Tensor]:
        """One optimizer step; returns the detached loss, gradient norm before clipping, and logged terms."""
        options = self.options
        set_learning_rate(self.optimizer, learning_rate(options, step, epoch))
        progress = Progress(step=step, total_steps=self.total_steps, hardest=step >= options.sum_steps)
        loss, terms = backward(self.method, batch, progress, ranks=self.ranks, precision=options.precision)
        norm = torch.nn.utils.clip_grad_norm_(self.method.parameters(), options.clip_norm)
        self.optimizer.step()
        return {"loss": loss, "grad_norm": norm.detach(), **terms}

    def _cpu_seconds(self) -> float:
        """Of all ranks, with what earlier attempts used."""
        start, before = self.cpu_clock
        return before + sum(own for (own,) in self.ranks.numbers([time.process_time() - start]))

    def _dev(self) -> dict[str, float]:
        images, texts = encode_split(self.method, self.dev, self.vocabulary, device=self.device)
        self.method.eval()
        one_fold = np.zeros(len(images), np.int32)
        ranking = rank(TiledScores(self.method, images, texts), self.dev.caption_image, one_fold, top=0)
        self.method.train()
        return metrics(ranking.i2t, ranking.t2i)

    def _on_plateau(self, means: dict[str, float], first_step: int) -> bool:
        """Whether the hardest-negative hinge sat all epoch at its value for equal embeddings."""
        margin = self.method.margin
        if margin is None or "hinge" not in means or first_step < self.options.sum_steps:
            return False
        value = plateau(self.options.batch_size, margin)
        return abs(means["hinge"] - value) <= PLATEAU_WIDTH * value

    def _estimate(self, step: int) -> None:
        """Say early how long this will take, from the steps so far."""
        seconds = (time.monotonic() - self.clock) / step * self.total_steps
        logger.log(PROGRESS, "%s: %d steps, about %s", self.name, self.total_steps, duration(seconds))

    def _report(self, line: dict[str, Any]) -> None:
        if line["plateau"]:
            logger.warning("%s: epoch %d stayed on the collapse plateau (hinge %.1f); some methods leave it late, "
                           "so training goes on", self.name, line["epoch"], line["terms"]["hinge"])  # fmt: skip
        left = line["seconds"] / line["epoch"] * (self.options.epochs - line["epoch"])
        logger.info("%s: epoch %d/%d, loss %.2f, dev rSum %.1f%s, %.0f s left", self.name, line["epoch"],
                    self.options.epochs, line["loss"], line["dev"]["rsum"], " (best)" if line["best"] else "", left)  # fmt: skip


def learning_rate(options: Training, step: int, epoch: int) -> float:
    """Linear warm-up over steps, then a factor after each of `decay_epochs`; `epoch` counts from 1."""
    warm = min(1.0, (step + 1) / options.warmup_steps) if options.warmup_steps else 1.0
    return options.learning_rate * warm * options.decay_factor ** sum(epoch > e for e in options.decay_epochs)
