"""The command line: finds the verb, calls it, and explains failures in a sentence.

Verbs are functions under `@verb` in lgsf/verbs/, which import their stage when they are called: help and mistakes in the
arguments must not wait for torch.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Sequence
from contextlib import suppress

from lgsf.system.errors import LgsfError
from lgsf.system.failures import ending
from lgsf.system.logs import setup
from lgsf.system.project.verbs import VERBS, option, path
from lgsf.system.project.version import __version__
from lgsf.verbs import data, importing, project, results, runs, sharing
from lgsf.verbs.options import meaning

logger = logging.getLogger("lgsf")
PARTS = (
    data,
    runs,
    results,
    importing,
    sharing,
    project,
)  # in the order of the help; importing one registers its verbs
ORDER = [name for part in PARTS for name, one in VERBS.items() if one.function.__module__ == part.__name__]


def parser() -> argparse.ArgumentParser:
    """All verbs and their options."""
    top = argparse.ArgumentParser(
        prog="lgsf", description="Reproducible image-text retrieval, verb by verb; `lgsf VERB --help` has an example."
    )
    top.add_argument("--version", action="version", version=f"lgsf {__version__}")
    verbs = top.add_subparsers(metavar="VERB", required=True)
    for name in ORDER:
        one = VERBS[name]
        sub = verbs.add_parser(
            name,
            help=one.help,
            description=one.help,
            epilog=f"example:\n  lgsf {one.example}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        for key, settings in (one.options | {"log": option(type=path, default=None)}).items():
            flag = "--" + key.replace("_", "-") if "required" in settings else key
            sub.add_argument(flag, **settings, help=meaning(key, settings).replace("%", "%%"))
        sub.set_defaults(verb=name)
    return top


def main(argv: Sequence[str] | None = None) -> None:
    """Run a verb; exit with 2 on a mistake or a fault that the user can mend, 128 + n on signal n, 1 on a bug."""
    arguments = parser().parse_args(argv)
    chosen = VERBS[arguments.verb]
    if chosen.on_device:
        # cuBLAS reads this once, when CUDA starts; without it deterministic matrix products are refused.
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    setup(None)  # until the log is open
    in_file = False
    try:
        setup(arguments.log)
        in_file = arguments.log is not None
        chosen.function(arguments)
        sys.stdout.flush()  # so that a full disk or a closed pipe is noticed here
    except (Exception, KeyboardInterrupt) as error:
        known = ending(error)
        if known is None:
            logger.exception("lgsf: unexpected failure; please report it with this log")
            sys.exit(1)
        if known.sentence is None:
            with suppress(OSError):  # the interpreter flushes once more
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.exit(known.status)
        logger.error("lgsf: %s", known.sentence)
        if in_file and not isinstance(error, LgsfError):
            logger.info("where it happened", exc_info=error)  # for the file alone
        sys.exit(known.status)
