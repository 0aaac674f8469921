"""The JSON schema of the configuration, for editors; generated from lgsf.config.file, which stays the one truth."""

from __future__ import annotations

import json
from pathlib import Path

from lgsf.config.file import Config
from lgsf.system.files import write_text


def config_schema() -> str:
    """The schema as JSON text. Required keys are left out where config files may give only what differs."""
    schema = Config.model_json_schema()
    for part in (schema, schema["$defs"]["Run"]):
        del part["required"]
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    return json.dumps(schema, indent=1, sort_keys=True) + "\n"


def write_schema(path: Path) -> None:
    """Write the schema that workflow/schemas/config.schema.json must equal."""
    write_text(path, config_schema())
