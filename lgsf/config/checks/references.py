"""What one part of the configuration says of another: names that are not defined, taken twice, or do not fit."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING

from pydantic import TypeAdapter, ValidationError

from lgsf.config.methods import named_files
from lgsf.config.names import CONTROLS, RESERVED_DATASETS
from lgsf.config.run_settings import TUNED_TRAINING, check_shares
from lgsf.config.tuning import check_shared
from lgsf.system.errors import LgsfError
from lgsf.system.names import shown
from lgsf.system.settings import PlainPath

if TYPE_CHECKING:
    from lgsf.config.file import Config


def check_references(config: Config) -> None:
    """ValueError of one clause, beginning with the key, for the first name that does not hold."""
    check_shared(config.tuning.ranges, TUNED_TRAINING)
    _check_listed(config)
    for name, source in config.datasets.items():
        if name in RESERVED_DATASETS:
            raise ValueError(f"datasets.{name}: a folder of this name stands beside the datasets'; choose another")
        for path in source.files():
            _check_watched(f"datasets.{name}", path)
    for name in config.methods:
        _check_method(config, name)
    for name in config.ensembles:
        _check_ensemble(config, name)
    for name in config.zero_shot:
        if name in CONTROLS or name in config.methods or name in config.ensembles:
            raise ValueError(f"zero_shot.{name}: this name belongs to another row of the tables; choose another")
    for name in config.imports:
        _check_import(config, name)
    _check_shares(config)
    for dataset in config.run.datasets if config.run.zero_shot else ():
        if config.datasets[dataset].pictures is None:
            raise ValueError(
                f"run.zero_shot needs photos, and datasets.{dataset} names none; set its `images` or empty the list"
            )


def _check_listed(config: Config) -> None:
    run = config.run
    listed: list[tuple[str, Iterable[str], Collection[str]]] = [
        ("run.datasets", run.datasets, config.datasets),
        ("run.methods", run.methods, {**config.methods, **config.ensembles, **config.imports}),
        *((f"datasets.{name}.needs", data.needs, config.downloads) for name, data in config.datasets.items()),
        ("run.zero_shot", run.zero_shot, config.zero_shot),
        ("validity", config.validity.methods if config.validity else (), run.methods),
        ("factorial.cells", config.factorial.cells if config.factorial else (), config.methods),
    ]
    for kind, names, known in listed:
        for name in names:
            if name not in known:
                raise ValueError(
                    f"{kind} names {name!r}, which is not defined; known are {', '.join(sorted(known)) or 'none'}"
                )
    paths = [download.path for download in config.downloads.values()]
    if repeated := {path for path in paths if paths.count(path) > 1}:
        raise ValueError(f"two of downloads have the path {min(repeated)!r}; give each file its own")
    if run.reference not in run.methods:
        raise ValueError(f"run.reference names {run.reference!r}, which is not among run.methods; name one of them")


def _check_method(config: Config, name: str) -> None:
    if name in CONTROLS:
        raise ValueError(f"methods.{name}: this name belongs to a control; choose another")
    try:
        config.training_of(name)
        config.ranges_of(name)
        for key, path in named_files(config.method(name).parameters).items():
            _check_watched(f"methods.{name}.parameters.{key}", path)
    except LgsfError as error:
        raise ValueError(str(error).removesuffix(".")) from None


def _check_ensemble(config: Config, name: str) -> None:
    if name in CONTROLS or name in config.methods:
        owner = "a control" if name in CONTROLS else "a method"
        raise ValueError(f"ensembles.{name}: this name belongs to {owner}; choose another")
    for member in config.ensembles[name].members:
        if member in config.ensembles:
            raise ValueError(
                f"ensembles.{name}.members names {member!r}, which is itself an ensemble; list its members instead"
            )
        if member not in config.methods:
            known = ", ".join(sorted(config.methods))
            raise ValueError(f"ensembles.{name}.members names {member!r}, which is not a method; known are {known}")


def _check_import(config: Config, name: str) -> None:
    if name in CONTROLS or name in config.methods or name in config.ensembles or name in config.zero_shot:
        raise ValueError(f"imports.{name}: this name belongs to another row of the tables; choose another")
    own = config.imports[name].dataset
    if own is not None and own not in config.datasets:
        known = ", ".join(sorted(config.datasets))
        raise ValueError(f"imports.{name}.dataset names {own!r}, which is not defined; known are {known}")
    if name not in config.run.methods:
        return
    if own is None and len(config.run.datasets) > 1:
        raise ValueError(
            f"imports.{name}.dataset is missing, and run.datasets lists several; say which one it was scored on"
        )
    if not config.datasets_of(name):
        raise ValueError(f"imports.{name} was scored on {own!r}, which run.datasets does not list; list it there")
    if name == config.run.reference and config.datasets_of(name) != config.run.datasets:
        raise ValueError(f"run.reference names {name!r}, which is imported for one dataset alone; name another")


def _check_shares(config: Config) -> None:
    """The batches of what is trained, and of nothing else: a definition that nobody runs may be of any size."""
    own = [name for name in config.run.methods if name not in config.imports]
    for name in dict.fromkeys(member for method in own for member, _ in config.members(method, 0)):
        try:
            check_shares(config.training_of(name), config.processes)
        except ValueError as error:
            raise ValueError(f"methods.{name}: {error}") from None


def _check_watched(key: str, path: str) -> None:
    """Raise ValueError for a path that Snakemake, which watches it, would read as a pattern."""
    try:
        TypeAdapter(PlainPath).validate_python(path)
    except ValidationError as error:
        raise ValueError(f"{key}: {error.errors()[0]['ctx']['error']}, not {shown(path)}") from None
