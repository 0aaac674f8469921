"""Flickr8k's and Flickr30k's token files (Hodosh et al. 2013, Young et al. 2014): name.jpg#0, a tab, the caption."""

from __future__ import annotations

import re
from pathlib import Path

from lgsf.data.annotations.lines import read_lines
from lgsf.data.annotations.lists import split_by_lists
from lgsf.data.annotations.model import Annotations, Caption, Image, assemble
from lgsf.data.annotations.settings import FlickrAnnotations
from lgsf.system.errors import LgsfError

_LINE = re.compile(r"(?P<id>(?P<image>[^\t]+)#\d+)\t(?P<text>.*)")


def read_flickr(settings: FlickrAnnotations) -> Annotations:
    """Images are called by their files' names and captions name.jpg#0, as Flickr8k's human judgements call them.

    Images in no list, and their captions, are left out and noted (Flickr8k.token.txt has 92 of them).
    """
    path = Path(settings.path)
    captions: list[Caption] = []
    for number, line in enumerate(read_lines(path, "caption"), start=1):
        match = _LINE.fullmatch(line)
        if match is None:
            raise LgsfError(
                f"{path}, line {number}: {line[:80]!r} is not an image, # and a number, a tab and a caption; "
                "correct the line or copy the file again."
            )
        captions.append(Caption(match["id"], match["image"], match["text"]))
    names = {caption.image_id: caption.image_id for caption in captions}
    splits = split_by_lists(settings.lists, names, path)
    left = len(names) - len(splits)
    return assemble(
        (Image(name, name, split) for name, split in splits.items()),
        (caption for caption in captions if caption.image_id in splits),
        files=map(Path, settings.files()),
        notes={"images in no list": left} if left else {},
    )
