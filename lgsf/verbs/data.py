"""Verbs about data: fetch, extract, prepare, convert, inspect."""

from __future__ import annotations

from lgsf.system.project.verbs import Arguments, argument, option, path, path_or_none, verb
from lgsf.verbs.options import PATH, TEXT, parsed


@verb("fetch a public file that the configuration names, or check it",
      "--name pack"
      " --settings '{\"urls\": [\"https://one.org/pack.zip\"], \"sha256\": \"…\", \"bytes\": 157286400, \"licence\": \"CC BY 4.0\", \"path\": \"data/pack.zip\"}'"
      " --out resources/downloads/pack.json",
      name=TEXT, settings=TEXT, out=PATH,
      offline=option(choices=("yes", "no"), default="no"))  # fmt: skip
def fetch(a: Arguments) -> None:
    from lgsf.fetch.fetch import fetch

    fetch(parsed(a.settings, "--settings"), name=a.name, out=a.out, offline=a.offline == "yes")


@verb("extract one shard of features from photos, or leave one that is whole",
      "--name own --settings '{\"source\": \"photos\", …}' --shard 1 --out resources/own --device cuda",
      on_device=True, name=TEXT,
      settings=TEXT, shard=option(type=int), out=PATH, device=option(choices=("cpu", "cuda"), default="cpu"))  # fmt: skip
def extract(a: Arguments) -> None:
    from lgsf.extract.extract import extract

    extract(parsed(a.settings, "--settings"), name=a.name, shard=a.shard, root=a.out, device=a.device)


@verb("turn a source into a dataset",
      "--name flickr8k --settings '{\"source\": \"precomp\", \"path\": \"data/f8k_precomp\"}'"
      " --out resources/flickr8k",
      name=TEXT, settings=TEXT, out=PATH)  # fmt: skip
def prepare(a: Arguments) -> None:
    from lgsf.data.prepare import prepare

    prepare(parsed(a.settings, "--settings"), name=a.name, root=a.out)


@verb("a dataset to a pack in the field's layout (SCAN), or a pack to a dataset",
      "--source resources/flickr8k --out data/f8k_pack",
      source=PATH, out=PATH,
      settings=option(default="{}"))  # fmt: skip
def convert(a: Arguments) -> None:
    from lgsf.data.precomp.convert import convert

    print(convert(a.source, a.out, parsed(a.settings, "--settings")))


@verb("print and write what a dataset is and what looks wrong with it",
      "resources/flickr8k --photos data/photos",
      dataset=argument(type=path, metavar="DATASET"),
      photos=option(type=path_or_none, default=None),
      out=option(type=path, default=None))  # fmt: skip
def inspect(a: Arguments) -> None:
    from lgsf.data.inspection.inspect import inspect
    from lgsf.data.pictures import find_pictures

    print(inspect(a.dataset, pictures=lambda data, split: find_pictures(data, split, a.photos), out=a.out))
