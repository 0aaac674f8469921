"""Verbs about the project itself: schema, deployment."""

from __future__ import annotations

from lgsf.system.project.verbs import Arguments, argument, path, verb
from lgsf.verbs.options import PATH


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
