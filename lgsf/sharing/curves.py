"""`lgsf export-curves`: what every epoch of a training logged, for TensorBoard or as one CSV table."""

from __future__ import annotations

import csv
import io
import shutil
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from lgsf.runs.log import Epoch, read_log
from lgsf.runs.record import RunRecord, read_record
from lgsf.system.artefacts.atomic import clear_killed
from lgsf.system.errors import LgsfError
from lgsf.system.files import write_text

FORMATS = ("tensorboard", "csv")
EVENTS = "events.out.tfevents."  # how TensorBoard's files begin


class Point(NamedTuple):
    """One value of one curve; name as `train/loss`, `dev/rsum`; seconds since training began, without its pauses."""

    name: str
    epoch: int
    step: int
    seconds: float
    value: float


def export_curves(runs: Sequence[Path], *, form: str, out: Path) -> list[Path]:
    """Write the curves of all runs; returns the files that were written.

    form  "tensorboard": one event file for each run under `<out>/<dataset>/<method>/seed<k>`, in the place of an
          older one, for `tensorboard --logdir OUT`; "csv": one table `<out>/curves.csv`

    Raises LgsfError for a run that logged no epoch, and where the package tensorboard is absent.
    """
    logged = [(read_record(run), list(_points(run))) for run in runs]
    if form == "csv":
        return [_write_csv(logged, out / "curves.csv")]
    return [_write_events(record, points, out) for record, points in logged]


def _points(run: Path) -> Iterator[Point]:
    epochs = read_log(run)
    if not epochs:
        raise LgsfError(f"{run} logged no epoch: name trained runs.")
    for epoch in epochs:
        for name, value in _values(epoch).items():
            yield Point(name, epoch.epoch, epoch.step, epoch.seconds, value)


def _values(epoch: Epoch) -> dict[str, float]:
    """Every number of an epoch's line but its counters."""
    train = ("loss", "grad_norm", "learning_rate", "cpu_seconds")
    named = {f"train/{name}": getattr(epoch, name) for name in train}
    named |= {f"train/terms/{name}": value for name, value in epoch.terms.items()}
    named |= {f"dev/{name}": value for name, value in epoch.dev.items()}
    return {name: float(value) for name, value in named.items() if value is not None}


def _write_csv(logged: Sequence[tuple[RunRecord, list[Point]]], path: Path) -> Path:
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(("dataset", "method", "seed", *Point._fields))
    for record, points in logged:
        table.writerows((record.dataset, record.method, record.seed, *point) for point in points)
    write_text(path, text.getvalue())
    return path


def _write_events(record: RunRecord, points: Sequence[Point], out: Path) -> Path:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise LgsfError(
            f"TensorBoard's files need its package ({error}): install the extra `tensorboard`, "
            "pip install 'lgsf-benchmark[tensorboard]', or write --format csv."
        ) from None
    folder = out / record.dataset / record.method / f"seed{record.seed}"
    beside = folder.with_name(f".{folder.name}.new")
    started = datetime.fromisoformat(record.started).timestamp()
    shutil.rmtree(beside, ignore_errors=True)  # what a killed export left
    try:
        folder.mkdir(parents=True, exist_ok=True)
        clear_killed(folder)
        with SummaryWriter(str(beside)) as writer:
            for point in points:
                writer.add_scalar(point.name, point.value, point.step, walltime=started + point.seconds)
        (new,) = beside.glob(f"{EVENTS}*")
        for old in folder.glob(f"{EVENTS}*"):  # or TensorBoard would draw every curve twice
            old.unlink()
        return new.replace(folder / new.name)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
