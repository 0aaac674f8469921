"""Settings of downloads. There are none unless a configuration names them; pydantic alone."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from lgsf.system.settings import ListOf, PlainPath, Settings


def _web_address(value: str) -> str:
    if not value.startswith(("https://", "http://")):
        raise ValueError("an address begins with https:// or http://")
    return value


class Unpack(Settings):
    """What becomes of a downloaded archive (zip, or tar with or without compression)."""

    folder: PlainPath = Field(description="folder of its contents; it must not exist before")
    most_bytes: int = Field(ge=1, description="an archive whose contents are larger is refused")


class Download(Settings):
    """One public file whose licence allows to fetch it."""

    urls: ListOf[Annotated[str, AfterValidator(_web_address)]] = Field(
        min_length=1, description="mirrors of the same bytes, asked in this order"
    )
    sha256: str = Field(pattern="^[0-9a-f]{64}$", description="checksum of the file; what differs is never used")
    bytes: int = Field(ge=1, description="size of the file")
    licence: str = Field(min_length=1, description="the licence or terms that allow the download, for the record")
    path: PlainPath = Field(description="where the file goes, and where a copy by hand is looked for")
    unpack: Unpack | None = Field(None, description="unpack the file, an archive, after its checksum was compared")
