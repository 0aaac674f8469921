"""`lgsf deploy`: a folder of one's own that runs this workflow as a Snakemake module."""

from __future__ import annotations

import json
from pathlib import Path

from lgsf.system.errors import LgsfError
from lgsf.system.files import write_text
from lgsf.system.project.places import SHIPPED

SCHEMA = "workflow/schemas/config.schema.json"
SNAKEFILE = """\
# The LGSF benchmark as a module: configuration, data, results and logs are those of this folder.
configfile: "config/config.yaml"


module lgsf:
    snakefile:
        {snakefile}
    config:
        config


use rule * from lgsf
"""


def deploy(folder: Path) -> list[Path]:
    """Write a Snakefile, the configurations and the profiles into `folder`; returns what was written.

    Raises LgsfError where one of these files is there already and says something else: nothing of a user's is written
    over. What an interrupted call left says the same, and is gone on from.
    """
    files = {
        folder / "Snakefile": SNAKEFILE.format(snakefile=json.dumps(str((SHIPPED / "workflow/Snakefile").resolve())))
    }
    for config in sorted((SHIPPED / "config").glob("*.yaml")):
        text = config.read_text(encoding="utf-8")
        files[folder / "config" / config.name] = text.replace(f"../{SCHEMA}", str((SHIPPED / SCHEMA).resolve()))
    for profile in sorted((SHIPPED / "workflow/profiles").glob("*/profile.yaml")):
        files[folder / "profiles" / profile.parent.name / profile.name] = profile.read_text(encoding="utf-8")
    for path, text in files.items():
        if path.exists() and not (path.is_file() and path.read_bytes() == text.encode()):
            raise LgsfError(f"{path} is there already: name a new folder.")
    for path, text in files.items():
        write_text(path, text)
    return list(files)
