# What all rules share: the checked configuration, and functions that turn it into paths and parameters.
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
from lgsf.config.names import CONTROLS, EVAL_INTERACTION
from lgsf.system.errors import LgsfError
from lgsf.pretrained.files import local_files
from lgsf.verdict.published import check_keys
from lgsf.system.closure import sources

# The hand-kept table of published numbers, its sources, and how far published runs lie apart.
PUBLISHED = [f"config/published{part}.csv" for part in ("", "_sources", "_spread")]

try:
    CONFIG = Config.parse(config)
    SETTINGS = {
        (dataset, method): CONFIG.run_settings(dataset, method)
        for dataset in CONFIG.datasets
        for method in CONFIG.methods
    }
    check_keys({m: CONFIG.published_key(m) for m in [*CONFIG.methods, *CONFIG.ensembles]}, Path(PUBLISHED[0]))
except LgsfError as error:
    sys.exit(f"Error in {error}")

RESULTS = CONFIG.pathvars.get("results", "results")
RESOURCES = CONFIG.pathvars.get("resources", "resources")
REPORT = f"{CONFIG.pathvars.get('reports', 'reports')}/{CONFIG.experiment}"
SPLITS = ("train", "dev", "test")
SPLIT_FILES = (
    "regions.npy",
    "region_counts.npy",
    "images.parquet",
    "captions.parquet",
)
JUDGEMENTS = ("ExpertAnnotations.txt", "CrowdFlowerAnnotations.txt")
TEMPLATES = sorted(str(path.relative_to(ROOT)) for path in ROOT.glob("lgsf/report/templates/*"))


def models(name):
    """Classes of a method, or of an ensemble's members, as package.module:Class."""
    return [CONFIG.method(member).model for member, _ in CONFIG.members(name, 0)]


ABLATIONS = [m for m in CONFIG.run.methods if all(c.startswith("lgsf.") for c in models(m))]
BASELINES = [m for m in CONFIG.run.methods if m not in ABLATIONS]
# Which methods a table compares; controls stand in every table.
TABLES = {"comparison": list(CONFIG.run.methods)}
TABLES |= {"ablations": ABLATIONS} if ABLATIONS else {}
TABLES |= {"baselines": BASELINES} if BASELINES else {}
# Made only for an experiment with a factorial.
EFFECTS = ["factorial.parquet", "factorial.csv"] if CONFIG.factorial else []
ALBUMS = [f"<tables>/comparison/album/{dataset}.json" for dataset in CONFIG.run.datasets]


def runs(methods):
    """Folders of the runs of `methods` and of the controls, on every dataset with every seed."""
    return [
        f"<results>/{dataset}/{method}/seed{seed}"
        for dataset in CONFIG.run.datasets
        for method in [*methods, *CONFIG.run.controls]
        for seed in CONFIG.run.seeds
        if method != "truth" or CONFIG.datasets[dataset].source == "scenes"
    ]


# Arms of LGSF with an interaction between samples; `attention` is its default.
INTERACTING = [
    m
    for m in CONFIG.run.methods
    if models(m) == ["lgsf.models.lgsf:LGSF"]
    and CONFIG.method(m).parameters.get("interaction", {}).get("kind", "attention") != "none"
]
# The transductive diagnostic of their runs, apart from every comparison.
DIAGNOSES = [
    f"<results>/{dataset}/{method}/seed{seed}/transductive/diagnosis.json"
    for dataset in CONFIG.run.datasets
    for method in INTERACTING
    for seed in CONFIG.run.seeds
]
DIAGNOSIS_RANKS = [
    f"<run>/transductive/{mode}/{name}.npz"
    for mode in EVAL_INTERACTION
    for name in ("ranks", "top", "relevance")
]
DIAGNOSIS_BATCH = f"--batch-size {CONFIG.transductive.batch_size}" if CONFIG.transductive.batch_size else ""


def results_folder(wildcards):
    """Where all runs lie."""
    return RESULTS


def existing_diagnoses(wildcards):
    """Those that somebody asked for; the report shows them in a section of their own."""
    return [path for path in DIAGNOSES if Path(path.replace("<results>", RESULTS)).is_file()]


def table_ranks(wildcards):
    """The files that a table is made from."""
    return [f"{run}/{split}/ranks.npz" for run in runs(TABLES[wildcards.table]) for split in SPLITS[1:]]


def table_experiment(wildcards):
    """The runs of a table as JSON."""
    return experiment(TABLES[wildcards.table])


def split_files(*splits):
    """Arrays and tables of the given splits of <dataset>."""
    return [f"<dataset>/{split}/{file}" for split in splits for file in SPLIT_FILES]


@cache
def code(*modules):
    """Files that a step's result depends on; an edit of one of them repeats the step."""
    return [str(path.relative_to(ROOT)) for path in sources(*modules, root=ROOT)]


def method_code(*stages):
    """Input function: the code of `stages` and of the method's own class."""
    return lambda wildcards: code(*stages, CONFIG.method(wildcards.method).model.partition(":")[0])


def pretrained_files(wildcards):
    """Those files of a BERT or of word vectors that are there; what is missing is for `lgsf train` to say."""
    return [str(path) for path in local_files(CONFIG.method(wildcards.method).parameters)]


def ensemble_code(wildcards):
    """The code of the averaging and of every member's own class."""
    return code("lgsf.evaluation.ensemble", *(model.partition(":")[0] for model in models(wildcards.ensemble)))


def member_files(name):
    """Input function: the file `name` of every member of an ensemble's seed, in the order of the configuration."""
    return lambda wildcards: [
        f"<results>/{wildcards.dataset}/{method}/seed{seed}/{name}"
        for method, seed in CONFIG.members(wildcards.ensemble, int(wildcards.seed))
    ]


def member_runs(wildcards, input):
    """Folders of the members of an ensemble's seed."""
    return [str(Path(model).parent) for model in input.models]


def ensemble_title(wildcards):
    """How tables call an ensemble."""
    return CONFIG.title_of(wildcards.ensemble)


def reader_code(wildcards):
    """The prepare step and the reader of this dataset's source, without the readers of others."""
    source = CONFIG.datasets[wildcards.dataset].source
    return ["lgsf/data/prepare.py", *code(f"lgsf.data.{source}.prepare")]


def pack_files(wildcards):
    """Those files of a pack that are there; what is missing is for `lgsf prepare` to say."""
    settings = CONFIG.datasets[wildcards.dataset]
    if settings.source != "precomp":
        return []
    names = [
        f"{prefix}_{name}"
        for prefix in (settings.train, settings.dev, settings.test)
        for name in ("ims.npy", "caps.txt", "ids.txt", "boxes.npy")
    ]
    paths = [f"{settings.path}/{name}" for name in (*names, *JUDGEMENTS)]
    return [path for path in paths if Path(path).is_file()]


def dataset_settings(wildcards):
    """The dataset's section of the configuration as JSON; photos are for the gallery and change no data."""
    return CONFIG.datasets[wildcards.dataset].model_dump_json(exclude={"images"})


def photos():
    """Folders of photos per dataset as JSON, where the user named one."""
    folders = {name: getattr(CONFIG.datasets[name], "images", None) for name in CONFIG.run.datasets}
    return json.dumps({name: folder for name, folder in folders.items() if folder})


def method_settings(wildcards):
    """All that the runs of one method on one dataset depend on, as JSON."""
    return json.dumps(SETTINGS[wildcards.dataset, wildcards.method], sort_keys=True)


def tuning_settings(wildcards):
    """All that the tuning of one method on one dataset depends on, as JSON."""
    return json.dumps(CONFIG.tuning_settings(wildcards.dataset, wildcards.method), sort_keys=True)


def of_tuned_methods(name):
    """Input function: the file `name` of every method that is tuned on a dataset; of ensembles, of their members."""
    methods = dict.fromkeys(m for listed in CONFIG.run.methods for m, _ in CONFIG.members(listed, 0))
    return lambda wildcards: [f"<results>/{wildcards.dataset}/{method}/tuning/{name}" for method in methods]


def tuned_experiment():
    """What a file of tuned values says of the runs that it is for: they stand beside those of the untuned methods."""
    return json.dumps(
        {
            "experiment": f"{CONFIG.experiment}_tuned",
            "title": f"{CONFIG.title or CONFIG.experiment}, tuned on dev",
            "results": f"{RESULTS}/tuned/{CONFIG.experiment}",
            "logs": f"{CONFIG.pathvars.get('logs', 'logs')}/tuned/{CONFIG.experiment}",
        }
    )


def experiment(methods):
    """What belongs into a table or the report, as JSON; the first method stands in for an absent reference."""
    reference = CONFIG.run.reference
    return json.dumps(
        {
            "experiment": CONFIG.experiment,
            "title": CONFIG.title or CONFIG.experiment,
            "datasets": CONFIG.run.datasets,
            "methods": [
                {
                    "name": name,
                    "title": CONFIG.title_of(name),
                    "ensemble": name in CONFIG.ensembles,
                    "published": CONFIG.published_key(name),
                }
                for name in methods
            ],
            "controls": CONFIG.run.controls,
            "seeds": CONFIG.run.seeds,
            "reference": reference if reference in methods else methods[0],
            "factorial": CONFIG.factorial and CONFIG.factorial.model_dump(),
        }
    )
