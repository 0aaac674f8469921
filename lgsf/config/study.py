"""What a configuration asks for: tables and their runs, methods' code, the settings that each step hangs on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import PurePath
from typing import Any

from lgsf.config.elsewhere.imports import Import
from lgsf.config.experiment import ExpectedRun, Experiment, MethodEntry
from lgsf.config.file import Config

LGSF = "lgsf.models.lgsf:LGSF"
INTERACTION = "attention"  # what LGSF takes where the configuration names no interaction


@dataclass(frozen=True)
class Study:
    """Questions that the workflow asks of a checked configuration; nothing here looks at a file."""

    config: Config

    def modules(self, name: str) -> list[str]:
        """Modules of a method's class, or of those of an ensemble's members."""
        return [str(self.config.method(member).model).partition(":")[0] for member in self.trained([name])]

    def trained(self, names: Sequence[str]) -> list[str]:
        """The methods that are trained for `names`: ensembles stand for their members, nobody twice; what was trained elsewhere does not count."""
        elsewhere = {*self.config.zero_shot, *self.config.imports}
        own = [name for name in names if name not in elsewhere]
        return list(dict.fromkeys(member for name in own for member, _ in self.config.members(name, 0)))

    @cached_property
    def tables(self) -> dict[str, tuple[str, ...]]:
        """Which methods a table compares: all of them and zero-shot rows, LGSF and its ablations, the others."""
        listed = self.config.run.methods
        ours = [name for name in listed if name not in self.config.imports]
        own = tuple(name for name in ours if all(module.startswith("lgsf.") for module in self.modules(name)))
        others = tuple(name for name in listed if name not in own)
        named = {"comparison": (*listed, *self.config.run.zero_shot), "ablations": own, "baselines": others}
        return {table: methods for table, methods in named.items() if methods}

    @cached_property
    def diagnosed(self) -> tuple[str, ...]:
        """Arms of LGSF with an interaction between samples: those that the transductive diagnostic is about."""
        return tuple(name for name in self.config.run.methods if name in self.config.methods and self._interacts(name))

    def _interacts(self, name: str) -> bool:
        method = self.config.method(name)
        interaction = method.parameters.get("interaction", {})
        kind = interaction.get("kind", INTERACTION) if isinstance(interaction, Mapping) else "none"
        return method.model == LGSF and kind != "none"

    def experiment(self, methods: Sequence[str], *, words: bool = False) -> Experiment:
        """What a table or, with `words`, the report is of; the first of `methods` stands in for an absent reference.

        `words` are what only a reader needs: reasons, members, sources. Tables have none, so that no word repeats them.
        """
        config, run = self.config, self.config.run
        return Experiment(
            experiment=config.experiment,
            title=config.title or config.experiment,
            datasets=run.datasets,
            methods=tuple(self._entry(name, words=words) for name in methods),
            controls=run.controls,
            seeds=run.seeds,
            reference=run.reference if run.reference in methods else methods[0],
            factorial=config.factorial,
            validity=config.validity,
            sources={name: config.datasets[name].words for name in run.datasets} if words else {},
        )

    def _entry(self, name: str, *, words: bool) -> MethodEntry:
        config = self.config
        said: dict[str, Any] = {}
        if words and name in config.ensembles:
            said = {"members": tuple(config.title_of(member) for member in config.ensembles[name].members)}
        elif words and name in config.methods:
            said = {"choices": config.method(name).choices}
        return MethodEntry(
            name=name,
            title=config.title_of(name),
            ensemble=name in config.ensembles,
            zero_shot=name in config.zero_shot,
            imported=name in config.imports,
            seeds=config.imports[name].numbers if name in config.imports else None,
            datasets=config.datasets_of(name) if name in config.imports else None,
            published=config.published_key(name),
            **said,
        )

    def runs(self, methods: Sequence[str]) -> list[ExpectedRun]:
        """The runs of `methods` and of the controls; `truth` where there is a scene graph to ask."""
        return [
            run
            for run in self.experiment(methods).expected()
            if run.method != "truth" or self.config.datasets[run.dataset].has_scene_graph
        ]

    def splits(self, name: str) -> tuple[str, ...]:
        """The splits that all runs of a method or a control have ranks of; an import may have been scored on test alone."""
        return ("test",) if name in self.config.imports else ("dev", "test")

    def imported(self, name: str, seed: int) -> Import:
        """What the run of one seed of an import is made from."""
        return self.config.imports[name].of_seed(seed)

    def zero_shot_settings(self, name: str) -> str:
        """What the row of a dual encoder off the shelf depends on, as JSON."""
        own = self.config.zero_shot[name]
        return own.model_copy(update={"title": own.title_of(name)}).model_dump_json()

    def dataset_settings(self, dataset: str) -> str:
        """The dataset's section of the configuration as JSON, without what describes its photos and its downloads."""
        source = self.config.datasets[dataset]
        return source.model_dump_json(exclude={"needs", *source.describes_photos})

    def source_files(self, dataset: str) -> list[str]:
        """Files that a dataset is made from, without those that the records of its downloads stand for."""
        return self._not_fetched(dataset, self.config.datasets[dataset].files())

    def required_files(self, dataset: str) -> list[str]:
        """Files and folders without which a dataset cannot be made, without those that are fetched."""
        return self._not_fetched(dataset, self.config.datasets[dataset].required())

    def _not_fetched(self, dataset: str, files: Sequence[str]) -> list[str]:
        source = self.config.datasets[dataset]
        fetched = [self.config.downloads[name] for name in source.needs]
        places = [PurePath(download.path) for download in fetched]
        places += [PurePath(download.unpack.folder) for download in fetched if download.unpack]
        return [file for file in files if not any(PurePath(file).is_relative_to(place) for place in places)]

    def photos(self) -> dict[str, str]:
        """Folder of photos per dataset, where the user named one."""
        folders = {name: getattr(self.config.datasets[name], "images", None) for name in self.config.run.datasets}
        return {name: folder for name, folder in folders.items() if folder}

    def tuned_experiment(self, *, results: str, logs: str) -> dict[str, Any]:
        """What a file of tuned values says of the runs that it is for: they stand beside those of the untuned methods."""
        name = self.config.experiment
        return {
            "experiment": f"{name}_tuned",
            "title": f"{self.config.title or name}, tuned on dev",
            "results": f"{results}/tuned/{name}",
            "logs": f"{logs}/tuned/{name}",
            "choices": {method: self.config.method(method).choices for method in self.trained(self.config.run.methods)},
        }
