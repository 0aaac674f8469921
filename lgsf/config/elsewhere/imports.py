"""Models that were trained elsewhere, as the configuration names them: scores, embeddings, checkpoints, whole runs.

An import may stand in `run.methods` beside trained methods. Where a key takes a file, it takes a list of files as well:
one for each seed.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field, model_validator

from lgsf.config.names import imported_title
from lgsf.system.settings import ListOf, Name, PlainPath, Seed, Settings, Title


def _listed(value: Any) -> Any:
    """One entry is a list of one."""
    return tuple(value) if isinstance(value, list | tuple) else (value,)


Files = Annotated[tuple[PlainPath, ...], BeforeValidator(_listed, json_schema_input_type=PlainPath | list[PlainPath])]


class Ids(Settings):
    """Files that name rows and columns, {"images": [...], "captions": [...]}; the dataset's own order without them."""

    test: PlainPath | None = None
    dev: PlainPath | None = None


class Import(Settings):
    """What every kind of import says of itself."""

    modules: ClassVar[tuple[str, ...]]  # the code that its runs are made by

    title: Title | None = Field(None, description="how tables call it; ' (imported)' is added")
    published: Name | None = Field(None, description="its key in config/published.csv")
    dataset: Name | None = Field(None, description="what it was scored on; not needed where run.datasets has one entry")
    seeds: ListOf[Seed] | None = Field(None, description="seed of each file; 0, 1, 2, ... without")

    @model_validator(mode="after")
    def _a_file_for_each_seed(self) -> Import:
        counts = {key: len(entries) for key, entries in self.lists().items() if entries}
        for key, count in counts.items():
            if count != self.count:
                first = next(iter(counts))
                raise ValueError(f"{first} lists {self.count} and {key} lists {count}; each seed needs one of both")
        if self.seeds is not None and (len(self.seeds) != self.count or len(set(self.seeds)) != self.count):
            raise ValueError(f"seeds must name {self.count} different seeds, one for each file, not {list(self.seeds)}")
        return self

    def lists(self) -> dict[str, tuple[Any, ...]]:
        """Key -> its entries, one for each seed; the first key is never empty."""
        raise NotImplementedError

    @property
    def count(self) -> int:
        """How many runs it has."""
        return len(next(iter(self.lists().values())))

    @property
    def numbers(self) -> tuple[int, ...]:
        """The seeds of its runs."""
        return self.seeds if self.seeds is not None else tuple(range(self.count))

    def of_seed(self, seed: int) -> Import:
        """The same with the files of one seed alone."""
        place = self.numbers.index(seed)
        one = {key: entries[place : place + 1] for key, entries in self.lists().items()}
        return self.model_copy(update={**one, "seeds": (seed,)})

    def files(self) -> Iterator[tuple[str, str]]:
        """(key, path) of everything that is read."""
        raise NotImplementedError

    def lies_at(self, folder: Path) -> bool:
        """Whether what is imported is the folder's own run, which then is used where it is."""
        return False

    def title_of(self, name: str) -> str:
        """How tables call it."""
        return imported_title(self.title or name)


class Scored(Import):
    """What scores and embeddings share: nothing but numbers is known, so the model has to be described."""

    modules: ClassVar[tuple[str, ...]] = ("lgsf.importing.configured",)

    text_encoder: str | None = Field(None, min_length=1, description="what reads its captions; unknown without")
    features: str | None = Field(None, min_length=1, description="what it reads of images; the dataset's without")
    ensemble: bool | None = Field(None, description="whether it is a mean over several models; unknown without")
    ids: Ids = Ids()

    def lists(self) -> dict[str, tuple[Any, ...]]:
        return {"test": self.test, "dev": self.dev}  # type: ignore[attr-defined]

    @property
    def splits(self) -> tuple[str, ...]:
        """The splits that it has scores of; dev is optional."""
        return ("dev", "test") if self.lists()["dev"] else ("test",)


class ImportedScores(Scored):
    """Matrices (n_images, n_captions) in .npy files, larger for better pairs."""

    kind: Literal["scores"]
    test: Files = Field(min_length=1, description="scores of the test split")
    dev: Files = Field((), description="scores of the development split, if there are any")

    def files(self) -> Iterator[tuple[str, str]]:
        for split in self.splits:
            yield from ((split, path) for path in self.lists()[split])
        yield from ((f"ids.{key}", path) for key, path in self.ids if path is not None)


class Vectors(Settings):
    """Two .npy files of one split: (n_images, dim) and (n_captions, dim)."""

    images: PlainPath
    captions: PlainPath


VectorFiles = Annotated[tuple[Vectors, ...], BeforeValidator(_listed, json_schema_input_type=Vectors | list[Vectors])]


class ImportedEmbeddings(Scored):
    """Vectors of images and captions in .npy files; their cosine or dot product is the score."""

    kind: Literal["embeddings"]
    similarity: Literal["cosine", "dot"] = "cosine"
    test: VectorFiles = Field(min_length=1, description="vectors of the test split")
    dev: VectorFiles = Field((), description="vectors of the development split, if there are any")

    def files(self) -> Iterator[tuple[str, str]]:
        for split in self.splits:
            for vectors in self.lists()[split]:
                yield from ((f"{split}.{key}", path) for key, path in vectors)
        yield from ((f"ids.{key}", path) for key, path in self.ids if path is not None)


class ImportedCheckpoint(Import):
    """A checkpoint of a baseline as its authors' code saves it; dev and test are ranked with it."""

    modules: ClassVar[tuple[str, ...]] = ("lgsf.importing.weights",)

    kind: Literal["checkpoint"]
    method: Literal["vsepp", "scan", "sgraf", "vse_inf", "vsrn", "hrem"] = Field(description="whose code saved it")
    checkpoint: Files = Field(min_length=1, description="the authors' file")
    vocab: PlainPath | None = Field(None, description="the authors' JSON of words, where a GRU reads captions")
    bert: PlainPath | None = Field(None, description="the model it started from, where a BERT does; as text.path")

    def lists(self) -> dict[str, tuple[Any, ...]]:
        return {"checkpoint": self.checkpoint}

    def files(self) -> Iterator[tuple[str, str]]:
        yield from (("checkpoint", path) for path in self.checkpoint)
        if self.vocab is not None:
            yield "vocab", self.vocab


class ImportedRun(Import):
    """A finished run: a folder with run.json and ranks, as `lgsf import-scores` or a workflow elsewhere leaves it."""

    modules: ClassVar[tuple[str, ...]] = ("lgsf.importing.finished",)

    kind: Literal["run"]
    path: Files = Field(min_length=1, description="the folder <name>/seed<k>")

    @model_validator(mode="after")
    def _seeds_of_the_folders(self) -> ImportedRun:
        if self.seeds is not None:
            raise ValueError("seeds are those of the folders, seed<k>; remove the key")
        ends = [path.rpartition("/")[2] for path in self.path]
        for path, end in zip(self.path, ends, strict=True):
            if not end.removeprefix("seed").isdecimal() or not end.startswith("seed"):
                raise ValueError(f"path must end in <name>/seed<k>, as runs do, not {path!r}")
        if len(set(ends)) < len(ends):
            raise ValueError(
                f"two of path are called {max(ends, key=ends.count)}; the runs of one model differ by seed"
            )
        return self

    @property
    def numbers(self) -> tuple[int, ...]:
        return tuple(int(path.rpartition("seed")[2]) for path in self.path)

    def of_seed(self, seed: int) -> ImportedRun:
        return self.model_copy(update={"path": (self.path[self.numbers.index(seed)],)})

    def lists(self) -> dict[str, tuple[Any, ...]]:
        return {"path": self.path}

    def lies_at(self, folder: Path) -> bool:
        return folder.resolve() in [Path(path).resolve() for path in self.path]

    def files(self) -> Iterator[tuple[str, str]]:
        for path in self.path:
            yield from (("path", f"{path}/{name}") for name in ("run.json", "test/ranks.npz"))


ImportSettings = Annotated[
    ImportedScores | ImportedEmbeddings | ImportedCheckpoint | ImportedRun, Field(discriminator="kind")
]
