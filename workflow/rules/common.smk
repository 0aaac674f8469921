# What all rules share: the code, the checked configuration, folders, and the files that a step hangs on.
import json
import os
import shlex
import sys
from functools import cache
from pathlib import Path

# The library that these rules lie beside or in; rules that were fetched from afar take the one that is installed.
BESIDE = [str(p) for p in Path(str(workflow.current_basedir)).parents if (p / "lgsf/__main__.py").is_file()][
    :1
]
sys.path[:0] = BESIDE
try:
    from lgsf.config.file import Config
    from lgsf.config.loading import reread
    from lgsf.config.names import CONTROLS
    from lgsf.config.checks.replaced import refuse_to_replace
    from lgsf.config.study import Study
    from lgsf.data.checks.manifest import SPLIT_FILES, SPLITS
    from lgsf.pretrained.files import DUAL_FILES, VISION_FILES, local_files, model_files
    from lgsf.system.project import places
    from lgsf.system.errors import LgsfError
    from lgsf.system.hashes import sampled
    from lgsf.verdict.published import check_keys
except ModuleNotFoundError as error:
    sys.exit(
        f"Error: Python module {error.name!r} is missing where Snakemake runs; install this project there with pip."
    )
del sys.path[: len(BESIDE)]

# Rules call `python`: the one that runs Snakemake, unless --use-conda puts its own in front.
os.environ.update(PATH=os.pathsep.join([str(Path(sys.executable).parent), *os.get_exec_path()]))
LGSF = f"python {shlex.quote(str(places.near(places.PACKAGE)))}"


# The user's own where there is one. As a module this takes the configuration that it is given.
configfile: str(places.own_or_shipped("config/config.yaml"))


# The hand-kept table of published numbers, its sources, and how far published runs lie apart.
PUBLISHED = [
    str(places.own_or_shipped("config/published.csv").with_name(f"published{part}.csv"))
    for part in ("", "_sources", "_spread")
]

try:
    # Snakemake keeps the last of two equal keys and takes `no` for false: the files are read again, strictly.
    CONFIG = Config.of(
        reread(
            config, workflow.configfiles, workflow.overwrite_configfiles, workflow.config_settings.config_args
        )
    )
    places.check_models({name: str(CONFIG.method(name).model) for name in CONFIG.methods})
    check_keys(CONFIG.published_keys, Path(PUBLISHED[0]))
except LgsfError as error:
    sys.exit(f"Error in {error}")
# Snakemake takes them from the configuration as they are written there; here they are the paths that are meant.
workflow.pathvars.items.update(CONFIG.pathvars)

STUDY = Study(CONFIG)
TABLES = STUDY.tables
EXPERIMENT = STUDY.experiment(TABLES["comparison"]).model_dump_json()
WORDED = STUDY.experiment(TABLES["comparison"], words=True).model_dump_json()
RESULTS, RESOURCES, LOGS = (workflow.pathvars.apply(f"<{name}>") for name in ("results", "resources", "logs"))
REPORT = workflow.pathvars.apply(f"<reports>/{CONFIG.experiment}")
try:
    refuse_to_replace(CONFIG, Path(RESULTS), STUDY.trained(CONFIG.run.methods))
except LgsfError as error:
    sys.exit(f"Error: {error}")
CODE = places.closures()
TEMPLATES = sorted(str(places.near(path)) for path in places.PACKAGE.glob("report/templates/**/*.*"))


pathvars:
    dataset="<resources>/{dataset}",
    method="<results>/{dataset}/{method}",
    run="<results>/{dataset}/{method}/seed{seed}",
    ensemble="<results>/{dataset}/{ensemble}/seed{seed}",
    control="<results>/{dataset}/{control}/seed{seed}",
    tables=f"<results>/tables/{CONFIG.experiment}",
    report=f"<reports>/{CONFIG.experiment}",
    tuned=f"<results>/tuned/{CONFIG.experiment}",
    benchmarks="<logs>/benchmarks",


@cache
def code(*modules):
    """Files that a step's result depends on; an edit of one of them repeats the step."""
    return [str(places.near(path)) for path in CODE.sources(*modules)]
