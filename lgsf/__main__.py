"""The command line by name, `python -m lgsf VERB`, or by place, `python /path/to/lgsf VERB`, which the workflow uses.

By place it needs neither an installation nor PYTHONPATH, which Snakemake keeps from conda environments.
"""

import sys

if not __package__:
    folder = sys.path.pop(0)  # this one: its `statistics` must not hide Python's own
    from pathlib import Path

    # The two packages come from here, whatever else is installed, and nothing else does: beside an installed package
    # lie other versions of everything. As with -m, a user's modules are found in the working directory.
    sys.path.insert(0, str(Path(folder).resolve().parent))
    import baselines  # noqa: F401
    import lgsf  # noqa: F401

    sys.path[0] = str(Path.cwd())

from lgsf.cli import main

main()
