"""Verbs that make runs: settings, training, tuning, ranking, controls."""

from __future__ import annotations

from pathlib import Path

from lgsf.config.names import CONTROLS
from lgsf.system.project.verbs import Arguments, option, path, verb, whole
from lgsf.verbs.options import MAYBE_TEXT, MEMORY, PATH, PATHS, SEED, TEXT, parsed


@verb("check one method's settings and write them", settings=TEXT, experiment=MAYBE_TEXT, out=PATH)
def configure(a: Arguments) -> None:
    from lgsf.config.checks.replaced import OWNER, owner_record
    from lgsf.models.sizing import configured
    from lgsf.system.files import write_json

    settings = configured(parsed(a.settings, "--settings"), source="the configuration").plain()
    if a.experiment is not None:
        write_json(a.out.parent / OWNER, owner_record(a.out, settings, a.experiment))
    write_json(a.out, settings)


@verb("train one run, or go on with it", on_device=True, config=PATH, dataset=PATH, seed=SEED, out=PATH)
def train(a: Arguments) -> None:
    from lgsf.training.train import train

    train(config=a.config, dataset=a.dataset, seed=a.seed, out=a.out)


@verb("check what tuning may change and write the plan", settings=TEXT, out=PATH)
def ranges(a: Arguments) -> None:
    from lgsf.tuning.plan import write_plan

    write_plan(parsed(a.settings, "--settings"), out=a.out)


@verb("run one method's trials on dev, or go on with them", on_device=True, plan=PATH, dataset=PATH, out=PATH)
def tune(a: Arguments) -> None:
    from lgsf.tuning.trials import tune

    tune(plan=a.plan, dataset=a.dataset, out=a.out)


@verb("write tuned values as a config file", tuned=option(type=path, nargs="+"), experiment=TEXT, out=PATH)
def tuned(a: Arguments) -> None:
    from lgsf.tuning.collect import write_config

    write_config(a.tuned, parsed(a.experiment, "--experiment"), out=a.out)


@verb("rank dev and test with a run", on_device=True, run=PATH, dataset=PATH, memory_mb=MEMORY)
def evaluate(a: Arguments) -> None:
    from lgsf.evaluation.evaluate import evaluate

    evaluate(run=a.run, dataset=a.dataset, memory_mb=a.memory_mb)


@verb("rank dev and test by the mean score of trained runs", on_device=True, members=PATHS, dataset=PATH, name=TEXT,
      title=option(default=""), seed=SEED, out=PATH, memory_mb=MEMORY)  # fmt: skip
def ensemble(a: Arguments) -> None:
    from lgsf.evaluation.ensemble import ensemble

    ensemble(members=a.members, dataset=a.dataset, name=a.name, title=a.title or a.name, seed=a.seed, out=a.out,
             memory_mb=a.memory_mb)  # fmt: skip


@verb("what batch-dependent evaluation would do to a run of LGSF", on_device=True, run=PATH, dataset=PATH, out=PATH,
      batch_size=option(type=whole(1, 2**20), default=None), memory_mb=MEMORY)  # fmt: skip
def diagnose_interaction(a: Arguments) -> None:
    from lgsf.evaluation.transductive import diagnose

    diagnose(run=a.run, dataset=a.dataset, out=a.out, batch_size=a.batch_size, memory_mb=a.memory_mb)


@verb("write a control's run", kind=option(choices=CONTROLS), dataset=PATH, seed=SEED, out=PATH)
def control(a: Arguments) -> None:
    from lgsf.evaluation.controls import control

    control(kind=a.kind, dataset=a.dataset, seed=a.seed, out=a.out)


@verb("rank dev and test with a dual encoder off the shelf", on_device=True, name=TEXT, settings=TEXT, dataset=PATH,
      photos=option(default="", help="folder of the photos"), out=PATH,
      device=option(choices=("cpu", "cuda"), default="cpu"), threads=option(type=int, default=1))  # fmt: skip
def zero_shot(a: Arguments) -> None:
    from lgsf.evaluation.zero_shot import zero_shot

    zero_shot(
        parsed(a.settings, "--settings"), name=a.name, dataset=a.dataset, photos=Path(a.photos) if a.photos else None,
        out=a.out, device=a.device, threads=a.threads,
    )  # fmt: skip
