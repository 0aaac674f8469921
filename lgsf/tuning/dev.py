"""`lgsf dev`: what every training of a study reached on dev, and at what cost; ranks of any split are not read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd

from lgsf.config.experiment import ExpectedRun, Experiment
from lgsf.config.tuning import leaves
from lgsf.metrics.names import HEADLINE
from lgsf.runs.failure import read_failure
from lgsf.runs.log import read_log
from lgsf.runs.record import FILE, RunRecord, read_record
from lgsf.system.errors import LgsfError
from lgsf.system.files import write_text

SECTIONS = ("model", "parameters", "training")  # of a run's settings: what makes two trials different
RUN = ("dataset", "method", "title", "seed")


def write_dev(experiment: Experiment, *, results: Path, out: Path) -> None:
    """Write dev.csv, one row per training, and means.csv, one row per method, into `out`.

    Every training that the experiment lists has a row: a failed or missing one says so and has no number. `settings`
    names what a method has otherwise than the first one listed. Dev scores are those of the chosen epoch; `rsum_end`
    is that of the last one, `rise` what the last fifth of the epochs brought to the best so far: near 0, the run stood
    still. Raises LgsfError if nothing has finished, or for a broken run folder.
    """
    rows: list[dict[str, Any]] = []
    settings: dict[str, dict[str, Any]] = {}
    for run in experiment.expected():
        if run.kind != "trained":
            continue
        rows.append({**{key: getattr(run, key) for key in RUN}, **_row(run, results / run.folder, settings)})
    table = pd.DataFrame(rows)
    if "rsum" not in table:
        raise LgsfError(f"{results}: no training of {experiment.experiment} has finished; train first.")
    table.insert(4, "settings", [_differences(settings, method) for method in table["method"]])
    write_text(out / "dev.csv", table.round(4).to_csv(index=False))
    write_text(out / "means.csv", means(table).round(3).to_csv(index=False))


def means(table: pd.DataFrame) -> pd.DataFrame:
    """Mean over seeds of what a method reached on dev, standard deviation of rSum, and processor time in all."""
    rows = []
    for _, own in table.groupby(["dataset", "method"], sort=False):
        done = own[own["status"] == "finished"]
        first = own.iloc[0]
        rows.append(
            {
                **{key: first[key] for key in ("dataset", "method", "title", "settings")},
                "seeds": f"{len(done)} of {len(own)}",
                **{name: done[name].mean() for name in HEADLINE},
                "rsum_sd": done["rsum"].std(),
                "rsum_end": done["rsum_end"].mean(),
                "rise": done["rise"].mean(),
                "plateau_epochs": done["plateau_epochs"].mean(),
                "cpu_seconds": done["cpu_seconds"].sum(),
            }
        )
    return pd.DataFrame(rows)


def _row(run: ExpectedRun, folder: Path, settings: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """What one training left; its settings go into `settings`."""
    if not (folder / FILE).is_file():
        failure = read_failure(folder)
        if failure is None:
            return {"status": "missing"}
        where = f" (epoch {failure.epoch})" if failure.epoch is not None else ""
        return {"status": "failed", "reason": failure.reason + where}
    record = read_record(folder)
    settings.setdefault(run.method, leaves({key: record.config.get(key) for key in SECTIONS}))
    return {"status": "finished", "reason": None, **_reached(record, folder)}


def _reached(record: RunRecord, folder: Path) -> dict[str, Any]:
    log = read_log(folder)
    rsum = [epoch.dev["rsum"] for epoch in log]
    earlier = max(1, len(log) - max(1, len(log) // 5))
    return {
        **{name: log[(record.best_epoch or 1) - 1].dev[name] for name in HEADLINE},
        "rsum_end": rsum[-1],
        "rise": max(rsum) - max(rsum[:earlier]),
        "best_epoch": record.best_epoch,
        "epochs": len(log),
        "steps": record.steps,
        "plateau_epochs": sum(epoch.plateau for epoch in log),
        "cpu_seconds": record.cpu_seconds,
        "seconds": record.seconds,
        "parameters": record.parameters,
        "config_sha256": record.config_sha256,
    }


def _differences(settings: dict[str, dict[str, Any]], method: str) -> str:
    """`path=value` of everything that the first method with settings has otherwise; empty for that one."""
    if method not in settings:
        return ""
    first, own = next(iter(settings.values())), settings[method]
    changed = [f"{path}={json.dumps(value)}" for path, value in own.items() if first.get(path, ...) != value]
    return "; ".join(changed)
