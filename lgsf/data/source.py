"""What every source of data says of itself: a folder of `lgsf/data` with `settings.py` and `prepare.py`."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from lgsf.system.settings import ListOf, Name, Settings

Store = Literal["as_is", "float16", "int8"]

TokenizerName = Literal["treebank", "jieba"]


class Source(Settings):
    """Base of a source's settings; the field `source` is the name of its folder."""

    words: ClassVar[str]  # what the report calls data of this source
    has_scene_graph: ClassVar[bool] = False  # whether the control `truth` can be asked
    describes_photos: ClassVar[tuple[str, ...]] = ()  # fields that only the gallery reads: they change no data

    needs: ListOf[Name] = Field((), description="entries of `downloads` that must be there first")
    store: Store = Field("as_is", description="numbers of the regions on disk; int8 has a scale per region")

    @classmethod
    def folder(cls) -> str:
        """Name of the source: that of the folder its settings stand in."""
        return cls.__module__.split(".")[-2]

    @property
    def pictures(self) -> str | None:
        """Folder of the photos, "" where the dataset holds its pictures itself, None where there are none."""
        return getattr(self, "images", None)

    def files(self) -> list[str]:
        """Paths that the dataset is made from, whether they exist or not; a change of one prepares it again."""
        return []

    def optional(self) -> list[str]:
        """Those of `files` that may be absent."""
        return []

    def required(self) -> list[str]:
        """Files and folders without which there is no dataset."""
        optional = set(self.optional())
        return [path for path in self.files() if path not in optional]
