"""The chosen values of all methods on one dataset as a config file to lay over the one that was tuned."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import Field, ValidationError

from lgsf.config.tuned import Tuned
from lgsf.config.tuning import Budget, with_value
from lgsf.render.numbers import decimal
from lgsf.system.errors import LgsfError
from lgsf.system.files import read_json, write_text
from lgsf.system.settings import Name, Settings, deep_merge, explain
from lgsf.tuning.plan import Plan, tunable

AGAIN = "run the tune step again"


class TunedExperiment(Settings):
    """What the config file says besides values: a name, a title, folders of its own, and each method's choices."""

    experiment: Name
    title: str
    results: str
    logs: str
    choices: dict[Name, dict[str, str]] = Field(default_factory=dict)


class TunedMethod(Settings):
    """`tuned.json` as lgsf.tuning.trials writes it."""

    schema_version: Literal[1]
    plan: Plan
    best_trial: int
    values: dict[str, Any]
    tuned: Tuned

    @property
    def name(self) -> str:
        return self.plan.settings.method

    @property
    def dataset(self) -> str:
        return self.plan.settings.dataset


def write_config(files: Sequence[Path], experiment: Any, *, out: Path) -> None:
    """Write one config file from the tuned.json of every method.

    The file restricts `run.datasets` to the data that was tuned on, and gives the runs folders of their own, so
    that those of the untuned methods stay. Raises LgsfError unless all methods had the same budget and the same
    shared ranges on one dataset.
    """
    try:
        about = TunedExperiment.model_validate(experiment)
    except ValidationError as error:
        raise LgsfError(f"--about: {explain(error)}") from None
    methods = [_read(file) for file in files]
    _refuse_unequal(files, methods)
    by_name = {method.name: method for method in methods}
    config = {
        "experiment": about.experiment,
        "title": about.title,
        "pathvars": {"results": about.results, "logs": about.logs},
        "run": {"datasets": [methods[0].dataset]},
        "methods": {
            method.name: {
                **chosen(method, by_name, about.choices.get(method.name, {})),
                "tuned": method.tuned.model_dump(mode="json"),
            }
            for method in methods
        },
    }
    text = yaml.safe_dump(config, sort_keys=False, allow_unicode=True, width=120)
    write_text(out, "\n".join(_header(methods, out)) + "\n\n" + text)


def chosen(method: TunedMethod, others: Mapping[str, TunedMethod], choices: Mapping[str, str]) -> dict[str, Any]:
    """`parameters` and `training` of a method with its chosen values, and under `choices` why they are what they are.

    What a method extends is tuned as well, and its chosen values would be inherited; where the method's own
    tuning left such a setting alone, the value that it was tuned with is written down.
    """
    own = tunable(method.plan.settings)
    ancestors = [others[name] for name in method.plan.lineage[1:] if name in others]
    inherited = {path: own[path] for ancestor in ancestors for path in ancestor.values if path in own}
    reasons = {path: choices.get(short(path), "as configured") for path in inherited}
    reasons |= dict.fromkeys(method.values, f"best of {method.tuned.trials} trials on dev")
    out: dict[str, Any] = {}
    for path, value in (inherited | method.values).items():
        out = deep_merge(out, with_value({}, path, value))
    return {**out, "choices": {short(path): reason for path, reason in reasons.items()}}


def short(path: str) -> str:
    """The name of a setting under `choices`."""
    return path.removeprefix("parameters.")


def _read(file: Path) -> TunedMethod:
    try:
        method = TunedMethod.model_validate_json(json.dumps(read_json(file, hint=AGAIN)))
    except ValidationError as error:
        raise LgsfError(f"{file}: {explain(error)}") from None
    trials = file.with_name("trials.jsonl")
    if not trials.is_file() or hashlib.sha256(trials.read_bytes()).hexdigest() != method.tuned.trials_sha256:
        raise LgsfError(f"{trials} is not the list of trials that {file.name} was chosen from: {AGAIN}.")
    return method


def _refuse_unequal(files: Sequence[Path], methods: Sequence[TunedMethod]) -> None:
    """One dataset, one budget, the same shared ranges."""
    first = methods[0]
    for file, method in zip(files, methods, strict=True):
        if method.dataset != first.dataset:
            raise LgsfError(
                f"{files[0]} is about {first.dataset} and {file} about {method.dataset}: a config file has one value "
                "for all datasets, so write one file for each."
            )
        if (_terms(method), method.tuned.trials) != (_terms(first), first.tuned.trials):
            raise LgsfError(
                f"{files[0]} and {file} come from different budgets or shared ranges, so their methods were not "
                f"tuned alike: {AGAIN}."
            )


def _terms(method: TunedMethod) -> tuple[Budget, dict[str, Any]]:
    plan = method.plan
    return plan.budget, {path: plan.ranges[path] for path in plan.shared}


def _header(methods: Sequence[TunedMethod], out: Path) -> list[str]:
    budget = methods[0].plan.budget
    lines = [
        f"# Values chosen on the dev split of {methods[0].dataset}: {budget.trials} trials of every method "
        f"({budget.sampler}, seed {budget.seed}), test never read.",
        "# Lay it, as the last one, over the files that were tuned with; tables then count the looks of the tuning:",
        f"#   snakemake --cores all --configfile … {out}",
        "# Written by the tune step from tuned.json and trials.jsonl in results/<dataset>/<method>/tuning.",
        "#",
        "# method: dev rSum as configured -> of the chosen trial; looks at dev",
    ]
    for method in methods:
        tuned = method.tuned
        failed = f", {tuned.failed} failed" if tuned.failed else ""
        lines.append(
            f"# {method.name}: {decimal(tuned.dev_rsum_configured)} -> {decimal(tuned.dev_rsum)} "
            f"(trial {method.best_trial} of {tuned.trials}{failed}); {tuned.dev_looks} looks"
        )
    return lines
