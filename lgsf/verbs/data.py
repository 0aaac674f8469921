"""Verbs about data: fetch, extract, prepare, convert, inspect."""

from __future__ import annotations

from lgsf.system.project.verbs import Arguments, argument, option, path, verb
from lgsf.verbs.options import PATH, TEXT, parsed


@verb("fetch a public file that the configuration names, or check it", name=TEXT, settings=TEXT, out=PATH,
      offline=option(choices=("yes", "no"), default="no", help="say what to put where, and ask no server"))  # fmt: skip
def fetch(a: Arguments) -> None:
    from lgsf.fetch.fetch import fetch

    fetch(parsed(a.settings, "--settings"), name=a.name, out=a.out, offline=a.offline == "yes")


@verb("extract one shard of features from photos, or leave one that is whole", on_device=True, name=TEXT,
      settings=TEXT, shard=option(type=int), out=PATH, device=option(choices=("cpu", "cuda"), default="cpu"))  # fmt: skip
def extract(a: Arguments) -> None:
    from lgsf.extract.extract import extract

    extract(parsed(a.settings, "--settings"), name=a.name, shard=a.shard, root=a.out, device=a.device)


@verb("turn a source into a dataset", name=TEXT, settings=TEXT, out=PATH)
def prepare(a: Arguments) -> None:
    from lgsf.data.prepare import prepare

    prepare(parsed(a.settings, "--settings"), name=a.name, root=a.out)


@verb("a dataset to a pack in the field's layout (SCAN), or a pack to a dataset", source=PATH, out=PATH,
      settings=option(default="{}", help="JSON: rows, prefixes, captions_per_image; of a pack also name, folds, ..."))  # fmt: skip
def convert(a: Arguments) -> None:
    from lgsf.data.precomp.convert import convert

    print(convert(a.source, a.out, parsed(a.settings, "--settings")))


@verb("print and write what a dataset is and what looks wrong with it", dataset=argument(type=path, metavar="DATASET"),
      photos=option(type=path, default=None, help="folder of the photos, to look for copies among them"),
      out=option(type=path, default=None, help="folder of inspection.json and .md, by default DATASET"))  # fmt: skip
def inspect(a: Arguments) -> None:
    from lgsf.data.inspection.inspect import inspect
    from lgsf.data.pictures import find_pictures

    print(inspect(a.dataset, pictures=lambda data, split: find_pictures(data, split, a.photos), out=a.out))
