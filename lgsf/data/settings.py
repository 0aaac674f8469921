"""All sources of data: the union that the configuration's `datasets` section is made of. A new source joins here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, get_args

from pydantic import Field, TypeAdapter

from lgsf.data.features.settings import FeaturesSource
from lgsf.data.photos.settings import PhotosSource
from lgsf.data.precomp.settings import PrecompSource
from lgsf.data.scenes.settings import ScenesSource

DatasetSettings = Annotated[ScenesSource | PrecompSource | FeaturesSource | PhotosSource, Field(discriminator="source")]


def parse_source(settings: Mapping[str, Any]) -> ScenesSource | PrecompSource | FeaturesSource | PhotosSource:
    """The settings of one dataset as its source's model; pydantic's ValidationError where they are wrong."""
    for source in get_args(get_args(DatasetSettings)[0]):
        if settings.get("source") == source.folder():  # by its own model: no tag stands in the place of an error
            return source.model_validate(dict(settings))  # type: ignore[no-any-return]
    return TypeAdapter[ScenesSource | PrecompSource | FeaturesSource | PhotosSource](DatasetSettings).validate_python(
        dict(settings)
    )
