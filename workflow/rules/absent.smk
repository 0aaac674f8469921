# Functions of wildcards about what the user has to bring: a plan without it ends in a sentence before anything starts.
from lgsf.pretrained import absent
from snakemake.io import IOFile

# Imports whose runs lie where tables look: no rule makes them.
IN_PLACE = [
    name
    for name, settings in CONFIG.imports.items()
    for dataset in CONFIG.datasets_of(name)
    if any(settings.lies_at(Path(RESULTS, dataset, name, f"seed{seed}")) for seed in settings.numbers)
]


def brought(lacking, settings, *made):
    """The path that is lacking, if any.

    The plan ends here, unless everything in `made` is there and was made with these settings: Snakemake then finds no
    job for it and takes it as it stands, so that tables and report do not ask for a pack that was deleted afterwards.
    """
    if lacking is None:
        return []
    if not made or not all(Path(path).is_file() for path in made) or not made_with(made[0], settings):
        sys.exit(f"Error: {lacking.sentence}")
    tell(f"{lacking.sentence} What was made of it before, {Path(made[0]).parent}, is taken as it stands.")
    return [lacking.path]


@cache
def tell(sentence):
    """Say it once."""
    print(sentence, file=sys.stderr)


def made_with(path, settings):
    """Whether Snakemake made a file with these settings among its parameters; unknown counts as so."""
    try:
        known = workflow.persistence.params(IOFile(str(path)))
    except Exception as error:  # which Snakemake would take for "no rule makes this file"
        sys.exit(
            f"Error: Snakemake's notes of {path} cannot be read ({error!r}); delete the file to make it again."
        )
    return known is None or repr(settings) in known


def made_datasets(wildcards):
    """The files of a dataset that has been prepared."""
    arrays = [f"{split}/{file}" for split in SPLITS for file in SPLIT_FILES]
    return [
        f"{RESOURCES}/{wildcards.dataset}/{file}" for file in ("dataset.json", "vocabulary.json", *arrays)
    ]


def source_files(wildcards):
    """Those files and folders of a source that are there."""
    found = [path for path in STUDY.source_files(wildcards.dataset) if Path(path).exists()]
    return found + brought(
        absent.of_source(STUDY, wildcards.dataset), dataset_settings(wildcards), *made_datasets(wildcards)
    )


def source_sample(wildcards):
    """What is in a source's files, by samples: files that were put in place with old times are seen by it."""
    return sampled(Path(path) for path in STUDY.source_files(wildcards.dataset) if Path(path).exists())


def extraction_model(wildcards):
    """Those files of the model that are there."""
    found = [
        str(path) for path in model_files(CONFIG.datasets[wildcards.dataset].extract.model, VISION_FILES)
    ]
    return found + brought(
        absent.of_extraction(STUDY, wildcards.dataset), dataset_settings(wildcards), *made_datasets(wildcards)
    )


def zero_shot_model(wildcards):
    """Those files of the model that are there."""
    name, dataset = wildcards.zero_shot, wildcards.dataset
    made = f"{RESULTS}/{dataset}/{name}/seed0/run.json"
    found = [str(path) for path in model_files(CONFIG.zero_shot[name].model, DUAL_FILES)]
    return found + brought(absent.of_zero_shot(STUDY, name, dataset), zero_shot_settings(wildcards), made)


def pretrained_files(wildcards):
    """Those files of a BERT or of word vectors that are there."""
    method = f"{RESULTS}/{wildcards.dataset}/{wildcards.method}"
    made = (
        f"{method}/seed{wildcards.seed}/run.json"
        if "seed" in wildcards.keys()
        else f"{method}/tuning/tuned.json"
    )
    found = [str(path) for path in local_files(CONFIG.method(wildcards.method).parameters)]
    lacking = absent.of_method(STUDY, wildcards.method)
    return found + brought(lacking, run_settings(wildcards), f"{method}/config.json", made)


def import_files(wildcards):
    """The files that a run of an import is made from."""
    lacking = absent.of_import(STUDY, wildcards.imported, int(wildcards.seed))
    run = f"{RESULTS}/{wildcards.dataset}/{wildcards.imported}/seed{wildcards.seed}"
    made = [f"{run}/{file}" for file in ("run.json", "test/ranks.npz")]
    found = [path for _, path in STUDY.imported(wildcards.imported, int(wildcards.seed)).files()]
    return [path for path in found if Path(path).exists()] + brought(
        lacking, import_settings(wildcards), *made
    )


def import_settings(wildcards):
    """What a run of an import depends on, as JSON; neither its title nor its published key."""
    own = STUDY.imported(wildcards.imported, int(wildcards.seed))
    return own.model_dump_json(exclude={"title", "published", "dataset"})


def import_code(wildcards):
    """The code that makes runs of this kind."""
    return code(*CONFIG.imports[wildcards.imported].modules)


def import_gpu(wildcards):
    """Whether a run of an import is made on the GPU: a checkpoint is ranked with."""
    return int(CONFIG.device == "cuda" and CONFIG.imports[wildcards.imported].kind == "checkpoint")
