"""`lgsf train`: train one run, or go on with it; the key that ties a half-trained run to all that decides it."""

from __future__ import annotations

import logging
import os
from contextlib import nullcontext
from pathlib import Path

import torch

from lgsf.config.run_settings import RunSettings
from lgsf.data.layout import Dataset, open_dataset
from lgsf.models.build import make_repeatable, read_settings
from lgsf.models.device import check_there
from lgsf.models.pretrained import Pretrained
from lgsf.pretrained.files import local_files
from lgsf.pretrained.read import read_pretrained
from lgsf.runs.failure import Failure, forget_failure, write_failure
from lgsf.runs.provenance import now
from lgsf.system.errors import LgsfError
from lgsf.system.given import check_seed, seed_of_folder
from lgsf.system.hashes import fingerprint
from lgsf.system.interrupts import Interrupts
from lgsf.system.locks import run_lock
from lgsf.system.project import places
from lgsf.system.project.closure import ROOT
from lgsf.training.launch import launch
from lgsf.training.precision import check_precision
from lgsf.training.ranks import device_of_rank, joined, started_as_rank
from lgsf.training.resume import ResumeState
from lgsf.training.told import telling
from lgsf.training.trainer import NotFiniteError, Trainer


def train(*, config: Path, dataset: Path, seed: int, out: Path, interrupts: Interrupts | None = None) -> None:
    """Train one method with one seed and publish the run in `out`; go on where a killed run stopped.

    `interrupts` is given by who trains several runs in one process and handles signals already. Where the settings ask
    for several processes this one starts them and waits, unless it is one of them (torchrun's variables say so).
    Raises LgsfError on bad input, on a loss that is not finite, and when another trainer holds `out`.
    """
    seed_of_folder(out, check_seed(seed))
    settings = read_settings(config)
    _check_device(settings, config)
    with nullcontext(interrupts) if interrupts else Interrupts() as stop:
        if started_as_rank(settings.processes, config):
            if os.environ["RANK"] != "0":
                logging.disable(logging.WARNING)  # the first one says the same
            with telling():
                _train(settings, config, dataset, seed, out, stop)
        elif settings.processes > 1:
            launch(settings.processes, config=config, dataset=dataset, seed=seed, out=out, interrupts=stop)
        else:
            _train(settings, config, dataset, seed, out, stop)


def _check_device(settings: RunSettings, config: Path) -> None:
    check_there(settings.device, source=str(config))
    check_precision(settings.training.precision, torch.device(settings.device), source=config)
    if settings.device != "cuda":
        return
    here, found = int(os.environ.get("LOCAL_WORLD_SIZE", settings.processes)), torch.cuda.device_count()
    if here > found:
        raise LgsfError(
            f"{config}: each of {here} processes needs a GPU of its own, and torch finds {found} on this machine: set "
            f"processes: {found}, or start them on several machines by torchrun."
        )


def _train(settings: RunSettings, config: Path, dataset: Path, seed: int, out: Path, stop: Interrupts) -> None:
    """Train as the only process, or as one of several of which the first holds the run's folder."""
    data = open_dataset(dataset)
    device = device_of_rank(settings)
    make_repeatable(device, settings.threads)
    with joined(settings.processes, device) as ranks, run_lock(out) if ranks.first else nullcontext() as held:
        ranks.wait()  # for the first, until it has the folder
        for path in (config, *local_files(settings.parameters)):
            data.inputs.add(path)
        pretrained = _pretrained(settings, data)
        resume = ResumeState(out, run_key(settings, data, seed, pretrained))
        if ranks.first:
            forget_failure(out)
        trainer = Trainer(settings, data, pretrained, seed=seed, ranks=ranks)
        try:
            trainer.run(resume, held, stop)
        except NotFiniteError as error:
            if ranks.first:
                write_failure(out, Failure(reason=str(error), epoch=error.epoch, when=now()))
            raise


def run_key(settings: RunSettings, data: Dataset, seed: int, pretrained: Pretrained | None = None) -> str:
    """Hash of all that decides the outcome of a training: settings, data, seed, torch and the text of the code.

    So does what its text encoder starts from: `pretrained`, read from its files if it is not given.
    """
    code = places.code("lgsf.training.train", settings.module)
    parts = {
        "settings": settings.plain(),
        "pretrained": dict((pretrained or _pretrained(settings, data)).record),
        "dataset": data.sha256,
        "seed": seed,
        "torch": torch.__version__,
        "device": settings.device,
    }
    return fingerprint(parts, code, ROOT)


def _pretrained(settings: RunSettings, data: Dataset) -> Pretrained:
    return read_pretrained(settings.parameters, data.vocabulary())
