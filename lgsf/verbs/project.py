"""Verbs about the project itself: schema, deployment, what an experiment will cost."""

from __future__ import annotations

from lgsf.system.project.places import own_or_shipped
from lgsf.system.project.verbs import Arguments, argument, option, path, verb, whole
from lgsf.verbs.options import MAYBE_PATH, PATH, parsed


@verb("write the JSON schema of the configuration",
      "--out config.schema.json",
      out=PATH)  # fmt: skip
def schema(a: Arguments) -> None:
    from lgsf.config.schema import write_schema

    write_schema(a.out)


@verb("make a folder of your own in which to run the workflow",
      "my_study",
      folder=argument(type=path, metavar="FOLDER"))  # fmt: skip
def deploy(a: Arguments) -> None:
    from lgsf.system.project.deploy import deploy

    deploy(a.folder)
    print(f"Deployed into {a.folder}. Run it there: snakemake --cores all")


@verb("estimate runs, steps, hours, memory and disk of an experiment, from steps on made-up data",
      "--configfile config/coco.yaml --devices 1 8",
      on_device=True, configfile=option(type=path, nargs="+", default=[]), config=MAYBE_PATH, resources=MAYBE_PATH,
      device=option(choices=("cpu", "cuda"), default=None), devices=option(type=whole(1, 10_000), nargs="+", default=[1]),
      steps=option(type=whole(1, 1000), default=3), step_times=option(default="{}"))  # fmt: skip
def estimate(a: Arguments) -> None:
    from lgsf.estimating.estimate import estimate

    files = [own_or_shipped("config/config.yaml"), *a.configfile] if a.configfile else []
    print(
        estimate(
            configfiles=files, config=a.config, resources=a.resources, device=a.device, devices=a.devices, steps=a.steps,
            given=parsed(a.step_times, "--step-times"),
        )
    )  # fmt: skip
