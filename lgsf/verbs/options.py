"""What the options of several verbs are."""

from __future__ import annotations

from typing import Any

from lgsf.system.names import LARGEST_SEED
from lgsf.system.project.places import own_or_shipped
from lgsf.system.project.verbs import option, path, whole

TEXT = option()
PATH = option(type=path)
PATHS = option(type=path, nargs="+", metavar="RUN")
SEED = option(type=whole(0, LARGEST_SEED))
MAYBE_TEXT = option(default=None)
MAYBE_PATH = option(type=path, default=None)
MEMORY = option(type=whole(16, 2**24), default=512, help="MiB of scores that are held during ranking")
PUBLISHED = option(type=path, default=own_or_shipped("config/published.csv"), help="the table of published numbers")


def parsed(text: str, name: str) -> Any:
    """The JSON that option `name` was given."""
    from lgsf.config.loading import read_json_argument

    return read_json_argument(text, name)
