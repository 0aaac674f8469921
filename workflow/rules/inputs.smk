# Functions of wildcards, in the order of the rules that call them; what a study needs is asked of STUDY.
def split_files(*splits):
    """Arrays and tables of the given splits of <dataset>."""
    return [f"<dataset>/{split}/{file}" for split in splits for file in SPLIT_FILES]


def download_records(wildcards):
    """Records of the downloads that a dataset needs."""
    return [f"<resources>/downloads/{name}.json" for name in CONFIG.datasets[wildcards.dataset].needs]


def download_settings(wildcards):
    """One entry of `downloads` as JSON."""
    return CONFIG.downloads[wildcards.download].model_dump_json()


def reader_code(wildcards):
    """The prepare step and the reader of this dataset's source, without the readers of others."""
    source = CONFIG.datasets[wildcards.dataset].source
    return [str(places.near(places.PACKAGE / "data/prepare.py")), *code(f"lgsf.data.{source}.prepare")]


def shard_files(wildcards):
    """Checksums of the shards that a dataset of photos is assembled from."""
    source = CONFIG.datasets[wildcards.dataset]
    n = source.extract.shards if source.source == "photos" else 0
    return [f"<dataset>/shards/{k}-of-{n}.sha256" for k in range(1, n + 1)]


def extraction_threads(wildcards):
    """The model's threads and the processes that decode photos, at least one of each."""
    settings = CONFIG.datasets[wildcards.dataset].extract
    return max(settings.threads, settings.workers)


def pictures(wildcards):
    """Folder of the dataset's photos; empty where it holds its pictures itself."""
    return CONFIG.datasets[wildcards.dataset].pictures


def zero_shot_settings(wildcards):
    """What the row of a dual encoder off the shelf depends on, as JSON."""
    return STUDY.zero_shot_settings(wildcards.zero_shot)


def dataset_settings(wildcards):
    """The dataset's section of the configuration as JSON."""
    return STUDY.dataset_settings(wildcards.dataset)


def run_settings(wildcards):
    """All that the runs of one method on one dataset depend on, as JSON."""
    return json.dumps(CONFIG.run_settings(wildcards.dataset, wildcards.method).plain(), sort_keys=True)


def method_code(*stages):
    """Input function: the code of `stages` and of the method's own class."""
    return lambda wildcards: code(*stages, *STUDY.modules(wildcards.method))


def tuning_settings(wildcards):
    """All that the tuning of one method on one dataset depends on, as JSON."""
    return json.dumps(CONFIG.tuning_settings(wildcards.dataset, wildcards.method), sort_keys=True)


def of_tuned_methods(name):
    """Input function: the file `name` of every method that is tuned on a dataset; of ensembles, of their members."""
    methods = STUDY.trained(CONFIG.run.methods)
    return lambda wildcards: [f"<results>/{wildcards.dataset}/{method}/tuning/{name}" for method in methods]


def member_files(name):
    """Input function: the file `name` of every member of an ensemble's seed, in the order of the configuration."""
    return lambda wildcards: [
        f"<results>/{wildcards.dataset}/{method}/seed{seed}/{name}"
        for method, seed in CONFIG.members(wildcards.ensemble, int(wildcards.seed))
    ]


def member_runs(wildcards, input):
    """Folders of the members of an ensemble's seed."""
    return [str(Path(model).parent) for model in input.models]


def ensemble_code(wildcards):
    """The code of the averaging and of every member's own class."""
    return code("lgsf.evaluation.ensemble", *STUDY.modules(wildcards.ensemble))


def table_ranks(wildcards):
    """The files that a table is made from."""
    runs = STUDY.runs(TABLES[wildcards.table])
    for run in (run for run in runs if run.method in IN_PLACE):
        brought(absent.of_import(STUDY, run.method, run.seed), "")
    return [f"<results>/{run.folder}/{split}/ranks.npz" for run in runs for split in STUDY.splits(run.method)]


def table_experiment(wildcards):
    """The runs of a table as JSON."""
    return STUDY.experiment(TABLES[wildcards.table]).model_dump_json()


def existing_diagnoses(wildcards):
    """Those that somebody asked for; the report shows them in a section of their own."""
    return [path for path in DIAGNOSES if Path(path.replace("<results>", RESULTS)).is_file()]
