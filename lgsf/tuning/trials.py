"""The trials of one method, one after the other: trainings on dev alone, recorded, resumed, never evaluated on test.

<method>/tuning/plan.json            settings, ranges and budget (lgsf.tuning.plan)
<method>/tuning/trial<k>/trial.json  what the trial had and reached, and the key under which it counts
<method>/tuning/trial<k>/…           config.json, log.jsonl and run.json of its training; its weights are deleted
<method>/tuning/trials.jsonl         one line per trial; no times in it, so that equal trials give equal bytes
<method>/tuning/tuned.json           the chosen values and what they cost in looks at dev

Snakemake removes the last two before it starts again; the trials themselves are no outputs and stay.
"""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lgsf.config.tuned import Tuned
from lgsf.config.tuning import with_value
from lgsf.data.layout import Dataset, open_dataset
from lgsf.models.build import check_settings
from lgsf.runs.record import read_record
from lgsf.system.errors import LgsfError
from lgsf.system.files import read_object, write_json, write_text
from lgsf.system.interrupts import Interrupts
from lgsf.system.locks import run_lock
from lgsf.system.logs import PROGRESS
from lgsf.training.train import run_key, train
from lgsf.training.trainer import NotFiniteError
from lgsf.tuning.plan import Plan, read_plan
from lgsf.tuning.propose import Outcome, propose

logger = logging.getLogger(__name__)
TUNED_SCHEMA_VERSION = 1
FIRST_SEED = 1_000_000  # the seed of a trial's training: no run that counts is one that was selected
WEIGHTS = ("model.safetensors", "training_only.safetensors")


def tune(*, plan: Path, dataset: Path, out: Path) -> None:
    """Run the trials of `plan` that are not there yet and write trials.jsonl and tuned.json into `out`.

    A trial whose loss is not finite is recorded as failed and counts. Raises LgsfError if all of them failed,
    if a trial cannot be trained at all, and when another process tunes in `out`.
    """
    checked, data = read_plan(plan), open_dataset(dataset)
    with run_lock(out), Interrupts() as interrupts:
        records: list[dict[str, Any]] = []
        for number in range(checked.budget.trials):
            interrupts.check()
            records.append(_trial(checked, data, records, out / f"trial{number + 1}", interrupts))
        _publish(checked, records, out)


def _trial(
    plan: Plan, data: Dataset, before: list[dict[str, Any]], out: Path, interrupts: Interrupts
) -> dict[str, Any]:
    """The record of the next trial, counted from 1: read where it is there and still counts, else trained."""
    number, method = len(before) + 1, plan.settings.method
    values = propose(
        plan.ranges,
        plan.budget,
        method=method,
        configured=plan.configured,
        before=[Outcome(record["values"], record["dev_rsum"]) for record in before],
    )
    seed, name = FIRST_SEED + plan.budget.seed, f"{plan.settings.dataset}/{method}"
    shown = ", ".join(f"{path} {json.dumps(value)}" for path, value in values.items())
    source = f"{name}: trial {number} ({shown})"
    settings = check_settings(trial_settings(plan, values), source=source)
    key = run_key(settings, data, seed)
    if (record := _recorded(out, key)) is None:
        (out / "trial.json").unlink(missing_ok=True)
        write_json(out / "config.json", settings.plain())
        outcome = _train(data.root, seed, out, source, interrupts)
        record = {"trial": number, "seed": seed, "values": values, **outcome}
        write_json(out / "trial.json", {"key": key, **record})
        reached = f"dev rSum {record['dev_rsum']:.1f}" if record["status"] == "finished" else record["reason"]
        logger.log(PROGRESS, "%s: trial %d of %d: %s: %s", name, number, plan.budget.trials, shown, reached)
    _forget_weights(out)
    return record


def _recorded(out: Path, key: str) -> dict[str, Any] | None:
    """The record of a finished trial if it is one of these very settings, data and code."""
    if not (out / "trial.json").is_file():
        return None
    try:
        record = read_object(out / "trial.json", hint="the tune step makes it")
    except LgsfError as error:
        logger.warning("%s: the trial is repeated", error)
        return None
    if record.pop("key", None) != key:
        logger.warning("%s belongs to other settings, data or code: the trial is repeated", out)
        return None
    return record


def _train(dataset: Path, seed: int, out: Path, source: str, interrupts: Interrupts) -> dict[str, Any]:
    """Train one trial in `out` (or go on with it) and say what came of it."""
    try:
        train(config=out / "config.json", dataset=dataset, seed=seed, out=out, interrupts=interrupts)
    except NotFiniteError as error:
        looks = error.epoch - 1  # the epochs before
        return {
            "status": "failed", "reason": error.reason, "best_epoch": None, "dev_rsum": None, "dev_looks": looks
        }  # fmt: skip
    except LgsfError as error:
        raise LgsfError(f"{source}: {error}") from error
    run = read_record(out)
    assert run.dev is not None  # of a training that has just ended
    return {
        "status": "finished",
        "reason": "",
        "best_epoch": run.best_epoch,
        "dev_rsum": run.dev["rsum"],
        "dev_looks": run.dev_looks,
    }


def _forget_weights(out: Path) -> None:
    """Records stay, weights and resume states go: nothing reads them, and eight trials of each method fill a disk."""
    for name in WEIGHTS:
        (out / name).unlink(missing_ok=True)
    shutil.rmtree(out / ".resume", ignore_errors=True)


def trial_settings(plan: Plan, values: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of a trial: the method's, with `values`, on the schedule of trials."""
    settings = plan.settings.plain()
    for path, value in values.items():
        settings = with_value(settings, path, value)
    return {**settings, "training": shortened(settings["training"], plan.budget.epochs)}


def shortened(training: Mapping[str, Any], epochs: int | None) -> dict[str, Any]:
    """The training in at most `epochs` passes; what counts steps or epochs shrinks with it, so the shape stays.

    Steps that a method counts among its own parameters are not known here and stay.
    """
    if epochs is None or epochs >= training["epochs"]:
        return dict(training)
    share = epochs / training["epochs"]
    return {
        **training,
        "epochs": epochs,
        "sum_steps": round(share * training["sum_steps"]),
        "warmup_steps": round(share * training["warmup_steps"]),
        "decay_epochs": [max(1, round(share * epoch)) for epoch in training["decay_epochs"]],
    }


def _publish(plan: Plan, records: list[dict[str, Any]], out: Path) -> None:
    """Write the trials and the best of them; the first of equals is chosen."""
    finished = [record for record in records if record["status"] == "finished"]
    name = f"{plan.settings.dataset}/{plan.settings.method}"
    if not finished:
        raise LgsfError(
            f"{name}: all {len(records)} trials failed ({records[0]['reason']}); "
            "move the ranges to smaller learning rates and run the same command again."
        )
    best = max(finished, key=lambda record: record["dev_rsum"])
    lines = "".join(json.dumps(record, sort_keys=True) + "\n" for record in records)
    tuned = Tuned(
        trials=len(records),
        failed=len(records) - len(finished),
        # Whoever tunes what had been tuned before has looked that often, too.
        dev_looks=sum(record["dev_looks"] for record in records)
        + (plan.settings.tuned.dev_looks if plan.settings.tuned else 0),
        paths=tuple(plan.ranges),
        dev_rsum=best["dev_rsum"],
        dev_rsum_configured=records[0]["dev_rsum"],
        trials_sha256=hashlib.sha256(lines.encode()).hexdigest(),
    )
    write_text(out / "trials.jsonl", lines)
    write_json(
        out / "tuned.json",
        {
            "schema_version": TUNED_SCHEMA_VERSION,
            "plan": plan.model_dump(mode="json"),
            "best_trial": best["trial"],
            "values": best["values"],
            "tuned": tuned.model_dump(mode="json"),
        },
    )
    logger.log(
        PROGRESS,
        "%s: trial %d of %d was best on dev, rSum %.1f",
        name,
        best["trial"] + 1,
        len(records),
        best["dev_rsum"],
    )
