"""Verbs that make runs: settings, training, tuning, ranking, controls."""

from __future__ import annotations

from lgsf.config.names import CONTROLS
from lgsf.config.run_settings import MOST_THREADS
from lgsf.system.project.verbs import Arguments, option, path, path_or_none, verb, whole
from lgsf.verbs.options import MAYBE_TEXT, MEMORY, PATH, PATHS, SEED, TEXT, parsed


@verb("check one method's settings and write them",
      "--settings '{\"dataset\": \"flickr8k\", \"method\": \"lgsf\", …}'"
      " --out results/flickr8k/lgsf/config.json",
      settings=TEXT, planned_by=MAYBE_TEXT, out=PATH)  # fmt: skip
def configure(a: Arguments) -> None:
    from lgsf.config.checks.replaced import OWNER, owner_record
    from lgsf.models.sizing import configured
    from lgsf.system.files import write_json

    settings = configured(parsed(a.settings, "--settings"), source="the configuration").plain()
    if a.planned_by is not None:
        write_json(a.out.parent / OWNER, owner_record(a.out, settings, a.planned_by))
    write_json(a.out, settings)


@verb("train one run, or go on with it",
      "--config results/flickr8k/lgsf/config.json --dataset resources/flickr8k --seed 0"
      " --out results/flickr8k/lgsf/seed0",
      on_device=True, config=PATH, dataset=PATH, seed=SEED, out=PATH)  # fmt: skip
def train(a: Arguments) -> None:
    from lgsf.training.train import train

    train(config=a.config, dataset=a.dataset, seed=a.seed, out=a.out)


@verb("check what tuning may change and write the plan",
      "--settings '{\"settings\": {…}, \"ranges\": {…}, …}' --out results/flickr8k/lgsf/tuning/plan.json",
      settings=TEXT, out=PATH)  # fmt: skip
def ranges(a: Arguments) -> None:
    from lgsf.tuning.plan import write_plan

    write_plan(parsed(a.settings, "--settings"), out=a.out)


@verb("run one method's trials on dev, or go on with them",
      "--plan results/flickr8k/lgsf/tuning/plan.json --dataset resources/flickr8k"
      " --out results/flickr8k/lgsf/tuning",
      on_device=True, plan=PATH, dataset=PATH, out=PATH)  # fmt: skip
def tune(a: Arguments) -> None:
    from lgsf.tuning.trials import tune

    tune(plan=a.plan, dataset=a.dataset, out=a.out)


@verb("write tuned values as a config file",
      "--tuned results/flickr8k/lgsf/tuning/tuned.json"
      " --about '{\"experiment\": \"mine_tuned\", \"title\": \"Mine\", \"results\": \"results/tuned\", \"logs\": \"logs/tuned\"}'"
      " --out mine_tuned.yaml",
      tuned=option(type=path, nargs="+"), about=TEXT, out=PATH)  # fmt: skip
def tuned(a: Arguments) -> None:
    from lgsf.tuning.collect import write_config

    write_config(a.tuned, parsed(a.about, "--about"), out=a.out)


@verb("rank dev and test with a run",
      "--run results/flickr8k/lgsf/seed0 --dataset resources/flickr8k",
      on_device=True, run=PATH, dataset=PATH, memory_mb=MEMORY)  # fmt: skip
def evaluate(a: Arguments) -> None:
    from lgsf.evaluation.evaluate import evaluate

    evaluate(run=a.run, dataset=a.dataset, memory_mb=a.memory_mb)


@verb("rank dev and test by the mean score of trained runs",
      "--members results/flickr8k/sgr/seed0 results/flickr8k/saf/seed0 --dataset resources/flickr8k"
      " --name sgraf --seed 0 --out results/flickr8k/sgraf/seed0",
      on_device=True, members=PATHS, dataset=PATH, name=TEXT,
      title=option(default=""), seed=SEED, out=PATH, memory_mb=MEMORY)  # fmt: skip
def ensemble(a: Arguments) -> None:
    from lgsf.evaluation.ensemble import ensemble

    ensemble(members=a.members, dataset=a.dataset, name=a.name, title=a.title or a.name, seed=a.seed, out=a.out,
             memory_mb=a.memory_mb)  # fmt: skip


@verb("what batch-dependent evaluation would do to a run of LGSF",
      "--run results/flickr8k/lgsf/seed0 --dataset resources/flickr8k"
      " --out results/flickr8k/lgsf/seed0/transductive",
      on_device=True, run=PATH, dataset=PATH, out=PATH,
      batch_size=option(type=whole(1, 2**20), default=None), memory_mb=MEMORY)  # fmt: skip
def diagnose_interaction(a: Arguments) -> None:
    from lgsf.evaluation.transductive import diagnose

    diagnose(run=a.run, dataset=a.dataset, out=a.out, batch_size=a.batch_size, memory_mb=a.memory_mb)


@verb("write a control's run",
      "--kind random --dataset resources/flickr8k --seed 0 --out results/flickr8k/random/seed0",
      kind=option(choices=CONTROLS), dataset=PATH, seed=SEED, out=PATH)  # fmt: skip
def control(a: Arguments) -> None:
    from lgsf.evaluation.controls import control

    control(kind=a.kind, dataset=a.dataset, seed=a.seed, out=a.out)


@verb("rank dev and test with a dual encoder off the shelf",
      "--name clip --settings '{\"model\": \"openai/clip-vit-base-patch32\"}' --dataset resources/own"
      " --photos data/photos --out results/own/clip/seed0",
      on_device=True, name=TEXT, settings=TEXT, dataset=PATH,
      photos=option(type=path_or_none, default=None), out=PATH,
      device=option(choices=("cpu", "cuda"), default="cpu"), threads=option(type=whole(1, MOST_THREADS), default=1))  # fmt: skip
def zero_shot(a: Arguments) -> None:
    from lgsf.evaluation.zero_shot import zero_shot

    zero_shot(
        parsed(a.settings, "--settings"), name=a.name, dataset=a.dataset, photos=a.photos,
        out=a.out, device=a.device, threads=a.threads,
    )  # fmt: skip
