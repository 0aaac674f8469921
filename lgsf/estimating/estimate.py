"""`lgsf estimate`: runs x steps x the time of a step, memory and disk of an experiment, before a long run."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from pydantic import Field, ValidationError

from lgsf.config.file import Config
from lgsf.config.run_settings import RunSettings
from lgsf.estimating.sizes import DataSize, data_size
from lgsf.estimating.steps import Cost, measured
from lgsf.models.build import read_settings
from lgsf.models.sizing import configured
from lgsf.system.errors import LgsfError
from lgsf.system.settings import Settings, explain

GIB = 2**30
KEPT_STATES = 4  # copies of the weights in the state of an unfinished run: its own, the best, and two of the optimizer


class Given(Settings):
    """What a step and a look at dev of a method cost, where they need not be measured here."""

    step_ms: float = Field(gt=0)
    dev_s: float | None = Field(None, ge=0)


@dataclass(frozen=True)
class Planned:
    """The runs of one method on one dataset and what one of them costs."""

    settings: RunSettings
    seeds: int
    size: DataSize
    cost: Cost

    @property
    def steps(self) -> int:
        options = self.settings.training
        return options.epochs * (self.size.captions["train"] // options.batch_size)

    @property
    def seconds(self) -> float:
        """Of one run: its steps, its looks at dev, its evaluation."""
        cost = self.cost
        return self.steps * cost.step + self.settings.training.epochs * (cost.dev or 0.0) + (cost.evaluation or 0.0)


def estimate(
    *,
    configfiles: Sequence[Path],
    config: Path | None,
    resources: Path | None,
    device: str | None,
    devices: Sequence[int],
    steps: int,
    given: Any,
) -> str:
    """The estimate as text, for the experiment of `configfiles` or one run of `config`.

    device   where steps are measured; that of the configuration without it
    devices  numbers of devices that the hours are told for
    given    JSON: method -> {step_ms, dev_s}, known from elsewhere and not measured

    Raises LgsfError where a dataset's size is unknown, or a device is asked for that is not here.
    """
    if bool(configfiles) == (config is not None):
        raise LgsfError("give either --configfile, for an experiment, or --config, for the runs of one method.")
    if config is not None:
        runs, source = [(read_settings(config), 1)], {}
        folder, title = resources or Path("resources"), str(config)
    else:
        whole = Config.read(configfiles)
        runs, source = list(_runs(whole)), dict(whole.datasets)
        folder = resources or Path(whole.pathvars.get("resources", "resources"))
        title = whole.title or whole.experiment
    known = _known(given, {settings.method for settings, _ in runs})
    sizes = {name: data_size(name, source.get(name), folder) for name in dict.fromkeys(s.dataset for s, _ in runs)}
    unknown = [settings for settings, _ in runs if settings.method not in known]
    where = {settings.method: _device(settings, device) for settings in unknown}
    planned = []
    for settings, seeds in runs:
        cost = known.get(settings.method)
        size = sizes[settings.dataset]
        cost = cost or measured(settings, size, device=where[settings.method], steps=steps)
        planned.append(Planned(settings, seeds, size, cost))
    return _told(title, planned, set(known), set(where.values()), devices)


def _runs(config: Config) -> Iterable[tuple[RunSettings, int]]:
    """(settings, number of seeds) of everything that is trained; members of ensembles count once."""
    names = [name for name in config.run.methods if name not in config.imports]
    for dataset in config.run.datasets:
        seeds: dict[str, set[int]] = {}
        for name in names:
            for seed in config.run.seeds:
                for member, own in config.members(name, seed):
                    seeds.setdefault(member, set()).add(own)
        for method, own_seeds in seeds.items():
            yield configured(config.run_settings(dataset, method).plain(), source="the configuration"), len(own_seeds)


def _known(given: Any, methods: set[str]) -> dict[str, Cost]:
    if not isinstance(given, Mapping):
        raise LgsfError('--step-times must be an object such as {"lgsf": {"step_ms": 12, "dev_s": 20}}.')
    out = {}
    for name, entry in given.items():
        if name not in methods:
            raise LgsfError(
                f"--step-times names {name!r}, which is not trained here: name one of {', '.join(sorted(methods))}."
            )
        try:
            found = Given.model_validate(entry)
        except ValidationError as error:
            raise LgsfError(f"--step-times: {name}: {explain(error)}") from None
        out[name] = Cost(
            step=found.step_ms / 1000, dev=found.dev_s, evaluation=None if found.dev_s is None else 2 * found.dev_s
        )
    return out


def _device(settings: RunSettings, asked: str | None) -> str:
    device = asked or settings.device
    if device == "cuda" and not torch.cuda.is_available():
        raise LgsfError(
            f"the step of {settings.method!r} is to be measured on cuda and torch finds no GPU here: run this on the "
            "machine that will train, give --device cpu to learn what this one would take, or --step-times."
        )
    return device


def _told(title: str, planned: Sequence[Planned], known: set[str], where: set[str], devices: Sequence[int]) -> str:
    lines = [f"Estimate: {title}", ""]
    for size in {one.settings.dataset: one for one in planned}.values():
        counts = ", ".join(
            f"{split} {n:,} images and {size.size.captions[split]:,} captions" for split, n in size.size.images.items()
        )
        lines.append(
            f"{size.settings.dataset} ({size.size.known_from}): {counts}; {size.size.n_regions} regions of "
            f"{size.size.region_dim:,} numbers, {size.size.disk / GIB:.1f} GiB of features on disk."
        )
    measured_ones = "measured here on " + " and ".join(sorted(where)) if where else ""
    given = f"given, not measured: {', '.join(sorted(known))}" if known else ""
    lines += ["", f"Step times: {'; '.join(filter(None, (measured_ones, given)))}.", ""]
    lines += [
        "| dataset | method | runs | steps of a run | ms a step | dev, s | hours of a run | hours | memory, MiB |"
    ]
    lines += ["|---|---|---:|---:|---:|---:|---:|---:|---:|"]
    for one in planned:
        hours, cost = one.seconds / 3600, one.cost
        cells = [
            one.settings.dataset,
            one.settings.method,
            f"{one.seeds}",
            f"{one.steps:,}",
            f"{1000 * cost.step:,.4g}",
        ]
        cells += ["" if cost.dev is None else f"{cost.dev:.3g}", f"{hours:.2f}", f"{one.seeds * hours:.2f}"]
        cells += ["" if cost.memory_mb is None else f"{cost.memory_mb:,.0f}"]
        lines.append("| " + " | ".join(cells) + " |")
    lines.append("")
    runs = [one.seconds / 3600 for one in planned for _ in range(one.seeds)]
    for n in devices:
        lines.append(
            f"{len(runs)} runs: {sum(runs):.1f} device hours; {makespan(runs, n):.1f} h on {n} device{'s' * (n > 1)}, one "
            "run on each at a time."
        )
    weights = sum(one.seeds * 4 * (one.cost.weights or 0) for one in planned)
    largest = max(4 * (one.cost.weights or 0) for one in planned)
    lists = sum(one.seeds * _lists(one.size) for one in planned)
    disk = f"Disk beside the data: {lists / GIB:.2f} GiB of ranks and lists at most"
    if weights:
        disk += f", {weights / GIB:.2f} GiB of weights, {KEPT_STATES * largest / GIB:.2f} GiB for each run at work"
    lines += [disk + "."]
    left_out = [one.settings.method for one in planned if one.cost.dev is None]
    lines.append(
        "Not counted: preparing data, reading features where they are slower than a step, controls, tables, report"
        + (f"; dev and evaluation of {', '.join(dict.fromkeys(left_out))}" if left_out else "")
        + ". An estimate, no promise: machines slow down under other work."
    )
    return "\n".join(lines)


def _lists(size: DataSize) -> int:
    """Bytes of ranks and of the best 100 of every query of dev and test, before they are compressed."""
    return sum((size.images[split] + size.captions[split]) * (100 * 8 + 8) for split in ("dev", "test"))


def makespan(hours: Sequence[float], devices: int) -> float:
    """Hours until all are done, when a device that is free takes the longest that is left."""
    free = [0.0] * max(1, devices)
    for one in sorted(hours, reverse=True):
        heapq.heapreplace(free, free[0] + one)
    return max(free)
