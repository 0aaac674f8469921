"""What the options of verbs are, and what they mean: one meaning for each name, whatever the verb."""

from __future__ import annotations

from typing import Any

from lgsf.system.names import LARGEST_SEED
from lgsf.system.project.places import own_or_shipped
from lgsf.system.project.verbs import Option, option, path, whole

TEXT = option()
PATH = option(type=path)
PATHS = option(type=path, nargs="+", metavar="RUN")
SEED = option(type=whole(0, LARGEST_SEED))
MAYBE_TEXT = option(default=None)
MAYBE_PATH = option(type=path, default=None)
MEMORY = option(type=whole(16, 2**24), default=512)
PUBLISHED = option(type=path, default=own_or_shipped("config/published.csv"))

MEANINGS = {
    "about": "JSON: experiment, title, results, logs and reasons that the written configuration is to have",
    "batch_size": "pairs that hear each other; without it, the batch of the training",
    "bert": "folder or name of the BERT that a checkpoint started from",
    "captions": ".npy (n_captions, dim): vectors of the captions of a split",
    "card": "write the model card here and send nothing",
    "checkpoint": "file that the authors of a method released",
    "config": "config.json of a method, as `lgsf configure` writes it",
    "configuration": "YAML file in which methods have their published keys",
    "configfile": "configuration files, laid over config/config.yaml in this order, as Snakemake takes them",
    "dataset": "folder of a prepared dataset",
    "dataset_name": "name of a dataset among the results",
    "device": "where models compute",
    "devices": "numbers of devices that hours are told for",
    "ensemble": "whether the scores are a mean over several models; tables say unknown without it",
    "experiment": "JSON list of runs that share tables, as `snakemake --printshellcmds` shows it",
    "features": "what the model reads of images, in the words of config/published.csv; the dataset's without it",
    "folder": "folder that is made",
    "format": "what reads the curves",
    "ids": 'JSON file {"images": [...], "captions": [...]} that names rows and columns; the dataset\'s order without it',
    "images": ".npy (n_images, dim): vectors of the images of a split",
    "kind": "which control",
    "licence": "of the weights, in the words of the hub, such as apache-2.0",
    "log": "file for the full log; lines for people go to the terminal",
    "members": "folders of the runs whose scores are averaged",
    "memory_mb": "MiB of scores that are held during ranking; changes no rank",
    "method": "whose code saved a checkpoint: vsepp, scan, sgraf, vse_inf, vsrn or hrem",
    "method_name": "name of a method among the results",
    "name": "what the thing that is made is called; its folder follows from it",
    "offline": "say which file to put where, and ask no server",
    "out": "where the result goes: a folder, or a file where the result is one",
    "photo_folders": "JSON: dataset -> folder of its photos",
    "photos": "folder of the dataset's photos",
    "plan": "plan.json of a tuning, as `lgsf ranges` writes it",
    "planned_by": "experiment that the settings are of",
    "private": "whether a new repository is for its owner alone",
    "published": "key in the table of published numbers",
    "reference": "method that differences are taken against",
    "repo": "OWNER/NAME of the repository, which is made where it does not exist",
    "report": "folder of a report",
    "resources": "folder that holds the prepared datasets",
    "results": "folder that holds the runs: <dataset>/<method>/seed<k> below it",
    "run": "folder of a run, <results>/<dataset>/<method>/seed<k>",
    "runs": "folders of trained runs",
    "scores": ".npy (n_images, n_captions): larger for better pairs",
    "seed": "seed of the run; its folder is seed<k>",
    "settings": "JSON of the part of the configuration that the verb is about, as `snakemake --printshellcmds` shows it",
    "shard": "which shard, from 1",
    "similarity": "what makes a score of two vectors",
    "source": "prepared dataset, or pack",
    "split": "dev or test",
    "step_times": 'JSON of what is known and not measured: {"lgsf": {"step_ms": 12, "dev_s": 20}}',
    "steps": "training steps that are measured of each method, after one to warm up",
    "table": "the table of published numbers",
    "tables": "folder of the tables of an experiment",
    "text_encoder": "what reads the captions, in the words of config/published.csv; tables say unknown without it",
    "threads": "CPU threads; part of what makes a run repeatable",
    "title": "how tables call it; its name without one",
    "tuned": "tuned.json of each method, as `lgsf tune` writes it",
    "vocab": "the authors' JSON of words",
}


def meaning(key: str, settings: Option) -> str:
    """The help of an option: what it means, and what it is without being given."""
    default = settings.get("default")
    without = "" if default in (None, "", "{}", []) else f" (default: {default})"
    return MEANINGS[key] + (" (required)" if settings.get("required") else without)


def parsed(text: str, name: str) -> Any:
    """The JSON that option `name` was given."""
    from lgsf.config.loading import read_json_argument

    return read_json_argument(text, name)
