"""One entry for every format of captions and images."""

from __future__ import annotations

from lgsf.data.annotations.coco import read_coco
from lgsf.data.annotations.flickr import read_flickr
from lgsf.data.annotations.karpathy import read_karpathy
from lgsf.data.annotations.model import Annotations
from lgsf.data.annotations.settings import (
    CocoAnnotations,
    FlickrAnnotations,
    KarpathyAnnotations,
    TableAnnotations,
)
from lgsf.data.annotations.table import read_table


def read_annotations(
    settings: CocoAnnotations | KarpathyAnnotations | FlickrAnnotations | TableAnnotations,
) -> Annotations:
    """Images and captions as `settings` describe them; LgsfError of one sentence for whatever is wrong."""
    match settings:
        case CocoAnnotations():
            return read_coco(settings)
        case KarpathyAnnotations():
            return read_karpathy(settings)
        case FlickrAnnotations():
            return read_flickr(settings)
        case TableAnnotations():
            return read_table(settings)
