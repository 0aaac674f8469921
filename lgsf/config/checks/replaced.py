"""Which runs a plan would train anew because an experiment with other settings made them in the same folder.

`lgsf configure` notes in `<results>/<dataset>/<method>/planned_by.json` which experiment the settings beside it are
of. An experiment that changes its own settings replaces its own runs, as it should; those of another one it replaces
only where `replace_runs: true` says so.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from lgsf.config.checks.parameter_keys import filled, known_keys
from lgsf.config.file import Config
from lgsf.config.run_settings import RunSettings
from lgsf.config.tuning import leaves
from lgsf.system.artefacts.seal import KEY as SEAL
from lgsf.system.errors import LgsfError
from lgsf.system.names import check_name

OWNER = "planned_by.json"
IMPORT = "import"  # key of a record's config by which lgsf.importing knows what it made of the configuration
COPIED = ".imported_run.json"  # lies beside a run that lgsf.importing brought from elsewhere
SHOWN = 3  # runs and settings that the sentence names


def owner_record(out: Path, settings: Mapping[str, Any], experiment: str) -> dict[str, Any]:
    """What `planned_by.json` beside `out`, a config.json, is to hold; equal settings stay whose they were."""
    check_name(experiment, what="--planned-by")
    same = _read(out) == json.loads(json.dumps(settings))
    return {"schema_version": 1, "experiment": (owner_of(out.parent) if same else None) or experiment}


def owner_of(folder: Path) -> str | None:
    """The experiment that the settings in `<results>/<dataset>/<method>` are of; None where nothing says so."""
    found = _read(folder / OWNER)
    owner = found.get("experiment") if isinstance(found, dict) else None
    return owner if isinstance(owner, str) else None


def refuse_to_replace(config: Config, results: Path, methods: Iterable[str]) -> None:
    """LgsfError where the plan would replace runs of another experiment, unless `replace_runs` allows it.

    What an import would replace must be an import, whatever `replace_runs` says.

    methods  those that are trained: what run.methods lists, and the members of its ensembles

    The sentence names the experiment, the runs, the settings that differ, and two ways to go on.
    """
    for name in (name for name in config.run.methods if name in config.imports):
        for dataset in config.datasets_of(name):
            for seed in config.imports[name].numbers:
                if not config.imports[name].lies_at(folder := results / dataset / name / f"seed{seed}"):
                    _refuse_foreign(folder, name)
    if config.replace_runs:
        return
    for dataset in config.run.datasets:
        for method in methods:
            folder = results / dataset / method
            runs = finished_runs(folder)
            if not runs or (owner := owner_of(folder)) == config.experiment:
                continue
            changes = changed_settings(folder / "config.json", config.run_settings(dataset, method))
            if not changes:
                continue
            who = f"experiment {owner!r}" if owner else "an experiment that left no name"
            raise LgsfError(
                f"{folder} holds {len(runs)} {'run' if len(runs) == 1 else 'runs'} of {who} ({_listed(runs)}), "
                f"made with other settings ({_listed(changes)}), and {config.experiment!r} would train them anew in "
                f"their place: give this experiment folders of its own, pathvars: {{results: results/{config.experiment}}}"
                ", or set replace_runs: true."
            )


def _refuse_foreign(folder: Path, name: str) -> None:
    """LgsfError where a run that is no import of the configuration lies where one is to go."""
    record = _read(folder / "run.json")
    if not isinstance(record, dict) or (folder / COPIED).is_file():
        return
    config = record.get("config")
    if not record.get("checkpoint") and not (isinstance(config, dict) and IMPORT in config):
        raise LgsfError(
            f"{folder} holds a run that was made in another way, and imports.{name} would take its place: call the "
            f"import otherwise, or take that run as it is, imports: {{{name}: {{kind: run, path: {folder}}}}}."
        )


def finished_runs(folder: Path) -> list[str]:
    """Names of the runs in `<results>/<dataset>/<method>` that have weights, a record, or a state to go on from."""
    left = ("run.json", "model.safetensors", ".resume/state.pt")
    found = [run for run in folder.glob("seed*") if any((run / name).is_file() for name in left)]
    return [run.name for run in sorted(found, key=lambda run: (len(run.name), run.name))]


def changed_settings(path: Path, planned: RunSettings) -> list[str]:
    """`training.epochs 15 -> 3` for every setting in which a config.json differs from the plan; [] where none does.

    The file holds the defaults of the method's class and the plan does not: they are read from the class's text, and
    where they cannot be, what the plan leaves open counts as equal. A file that is no config.json differs in no
    setting that could be named: [] where it is absent, the file itself where it is broken.
    """
    if not path.exists():
        return []
    existing = _read(path)
    if not isinstance(existing, dict):
        return [f"{path.name} cannot be read"]
    for word in ("title", "choices"):  # which runs of before 0.2 hold, and which decide nothing
        existing.pop(word, None)
    keys = known_keys(planned.model)
    wanted = planned.plain()
    if keys is not None:
        wanted["parameters"] = filled(planned.parameters, keys)
    before, after = leaves(existing), leaves(wanted)
    # What is left of the parameters has a default that could not be read, or is no parameter any more.
    names = [*after, *(name for name in before if name not in after and not name.startswith("parameters."))]
    return [
        f"{name} {_word(before, name)} -> {_word(after, name)}"
        for name in names
        if _value(before, name) != _value(after, name)
    ]


def _read(path: Path) -> Any:
    """Parsed JSON without its seal; None for what cannot be read: nobody can say then whose it is."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    return {key: value for key, value in found.items() if key != SEAL} if isinstance(found, dict) else found


def _value(tree: Mapping[str, Any], name: str) -> str:
    """A value for comparison: JSON makes lists of tuples, and 1 and 1.0 are one number."""
    value = tree.get(name)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return json.dumps(float(value))
    return json.dumps(value, sort_keys=True)


def _word(tree: Mapping[str, Any], name: str) -> str:
    return json.dumps(tree[name], sort_keys=True, ensure_ascii=False) if name in tree else "absent"


def _listed(words: list[str]) -> str:
    rest = len(words) - SHOWN
    return ", ".join(words[:SHOWN]) + (f" and {rest} more" if rest > 0 else "")
