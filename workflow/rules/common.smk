# What all rules share: the checked configuration, folders, and the files that a step hangs on.
import json
import os
import sys
from functools import cache
from pathlib import Path

ROOT = Path(str(workflow.current_basedir)).parents[1]
if Path.cwd() != ROOT.resolve():
    sys.exit(f"Run Snakemake in {ROOT}: the rules call this repository's code from there.")
sys.path.insert(0, str(ROOT))
# Rules call `python`: the one that runs Snakemake, unless --use-conda puts its own in front.
os.environ.update(PATH=os.pathsep.join([str(Path(sys.executable).parent), *os.get_exec_path()]))

from lgsf.config.file import Config
from lgsf.config.names import CONTROLS
from lgsf.config.study import Study
from lgsf.pretrained.files import local_files
from lgsf.system.closure import sources
from lgsf.system.errors import LgsfError
from lgsf.verdict.published import check_keys

# The hand-kept table of published numbers, its sources, and how far published runs lie apart.
PUBLISHED = [f"config/published{part}.csv" for part in ("", "_sources", "_spread")]

try:
    CONFIG = Config.parse(config)
    check_keys({m: CONFIG.published_key(m) for m in [*CONFIG.methods, *CONFIG.ensembles]}, Path(PUBLISHED[0]))
except LgsfError as error:
    sys.exit(f"Error in {error}")

STUDY = Study(CONFIG)
TABLES = STUDY.tables
EXPERIMENT = STUDY.experiment(TABLES["comparison"]).model_dump_json()
RESULTS = CONFIG.pathvars.get("results", "results")
RESOURCES = CONFIG.pathvars.get("resources", "resources")
LOGS = CONFIG.pathvars.get("logs", "logs")
REPORT = f"{CONFIG.pathvars.get('reports', 'reports')}/{CONFIG.experiment}"
SPLITS = ("train", "dev", "test")
SPLIT_FILES = (
    "regions.npy",
    "region_counts.npy",
    "images.parquet",
    "captions.parquet",
)
TEMPLATES = sorted(str(path.relative_to(ROOT)) for path in ROOT.glob("lgsf/report/templates/*"))


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


def split_files(*splits):
    """Arrays and tables of the given splits of <dataset>."""
    return [f"<dataset>/{split}/{file}" for split in splits for file in SPLIT_FILES]


@cache
def code(*modules):
    """Files that a step's result depends on; an edit of one of them repeats the step."""
    return [str(path.relative_to(ROOT)) for path in sources(*modules, root=ROOT)]
