"""`lgsf compare`: verdicts.* and claims.* of an experiment, or of the runs that a results folder holds."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from pydantic import ValidationError

from lgsf.config.experiment import SUBJECT, Experiment
from lgsf.config.loading import load_file
from lgsf.config.names import CONTROLS
from lgsf.runs.facts import read_facts
from lgsf.system.errors import LgsfError
from lgsf.system.files import write_text
from lgsf.system.hashes import sha256
from lgsf.system.names import check_name
from lgsf.system.settings import explain
from lgsf.tables.collect import collect
from lgsf.tables.files import TESTS, read_runs, read_tests, seals, write_parquet
from lgsf.tables.finished import Finished
from lgsf.tables.tests import experiment_tests
from lgsf.verdict.files import read_table
from lgsf.verdict.judge import claims, judge
from lgsf.verdict.published import check_keys
from lgsf.verdict.section import verdict_markdown, verdict_parts


def compare(
    *,
    experiment: Experiment | None,
    results: Path | None,
    tables: Path | None,
    dataset: str | None,
    method: str | None,
    published: str | None,
    reference: str | None,
    config: Path,
    table: Path,
    out: Path | None,
) -> str:
    """Judge runs; returns what to print: the verdicts as Markdown or, where `out` was given, the path of verdicts.md.

    experiment or dataset  which runs: those of an experiment, or all that lie under `<results>/<dataset>`
    tables or results      where they are: tables of the tables step, or run folders that are collected here
    method, published      this method alone, beside the rows of this key; without them `config` gives the keys
    reference              the method that the claim's gains are over; an experiment has its own
    table                  published.csv, beside it its sources and spread
    out                    folder for verdicts and claims, each as .parquet and .csv, and both as verdicts.md

    Raises LgsfError where both or neither of a pair are given, and as lgsf.verdict.judge does.
    """
    if (experiment is None) == (dataset is None):
        raise LgsfError("give either --experiment or --dataset-name: which runs are to be compared.")
    if (tables is None) == (results is None):
        raise LgsfError("give either --tables or --results: where the runs are.")
    if (method is None) != (published is None):
        raise LgsfError(
            "give --method-name and --published together: a method and the key of its rows in published.csv."
        )
    if experiment is None:
        if results is None:
            raise LgsfError(
                "--dataset-name needs --results: tables belong to an experiment, so name that with --experiment."
            )
        keys = {method: published} if method and published else published_keys(config)
        experiment = found_experiment(results, str(dataset), keys=keys, only=method, reference=reference)
        named = reference is not None
    elif method is not None or reference is not None:
        raise LgsfError("--method-name, --published and --reference go with --dataset-name: an experiment has its own.")
    else:
        named = True
    source = "--published" if published else "the configuration"
    check_keys({entry.name: entry.published for entry in experiment.methods}, table, source=source)
    finished = None if results is None else Finished(results)
    runs = read_runs(experiment, cast(Path, tables)) if finished is None else collect(experiment, finished)
    tests = None
    if named and tables is not None:
        tests = read_tests(tables)
    elif named and finished is not None:
        claimed = runs["method"].isin([SUBJECT, *experiment.references]) & (runs["protocol"] == "folds")
        tests = experiment_tests(experiment, runs[claimed], finished)
    verdicts, gains = judge(experiment, runs, *read_table(table)), claims(experiment, runs, tests)
    text = verdict_markdown(experiment, verdict_parts(experiment, runs, verdicts, gains))
    if out is None:
        return text
    origin = {"published.csv": sha256(table)}
    if tables is not None and tables.resolve() == out.resolve():
        origin |= seals(tables, "runs.parquet", TESTS)
    for name, frame in (("verdicts", verdicts), ("claims", gains)):
        write_parquet(out / f"{name}.parquet", frame, origin)
    write_text(out / "verdicts.md", text)
    return str(out / "verdicts.md")


def found_experiment(
    results: Path, dataset: str, *, keys: Mapping[str, str], only: str | None, reference: str | None
) -> Experiment:
    """The experiment of all evaluated runs of a dataset; controls are left out.

    keys  method -> its key in published.csv;  only  this method and the reference alone
    """
    folder = results / check_name(dataset, what="--dataset-name")
    found: dict[str, dict[str, Any]] = {}
    seeds: set[int] = set()
    for record in sorted(folder.glob("*/seed*/run.json")):
        name = record.parent.parent.name
        wanted = name not in CONTROLS and (only is None or name in (only, reference))
        if wanted and (record.parent / "test" / "ranks.npz").is_file():
            facts = read_facts(record.parent)
            found[name] = {"name": name, "title": facts.title or name, "ensemble": facts.kind == "ensemble"}
            seeds.add(facts.seed)
    for name in filter(None, (only, reference)):
        if name not in found:
            raise LgsfError(f"{folder} holds no evaluated run of {name!r}; train and evaluate it, or mend the name.")
    if not found:
        raise LgsfError(f"{folder} holds no evaluated run; name the folder of the results and one of its datasets.")
    try:
        return Experiment.model_validate(
            {
                **{"experiment": "by_hand", "title": dataset, "datasets": (dataset,), "seeds": tuple(sorted(seeds))},
                "methods": tuple({**entry, "published": keys.get(name)} for name, entry in found.items()),
                "reference": reference or next(iter(found)),
            }
        )
    except ValidationError as error:
        raise LgsfError(f"the runs in {folder}: {explain(error)}") from None


def published_keys(config: Path) -> dict[str, str]:
    """Method -> its key in published.csv, as a configuration file says it."""
    if not config.is_file():
        raise LgsfError(
            f"{config} is missing: name a configuration with --configuration, or --method-name and --published."
        )
    raw = load_file(config).values
    methods = raw.get("methods")
    if not isinstance(methods, dict):
        raise LgsfError(f"{config} has no section 'methods'; name the configuration that defines them.")
    methods |= raw.get("ensembles") or {}
    return {name: own["published"] for name, own in methods.items() if isinstance(own, dict) and own.get("published")}
