"""Questions with their answers, from the album of a dataset."""

from __future__ import annotations

from dataclasses import dataclass

from lgsf.gallery.album import Album
from lgsf.gallery.show import GalleryView, gallery_view
from lgsf.report.collected import Collected
from lgsf.report.section import Section

INTRODUCTION = (
    "A few questions of the test split with the first five answers, the right ones marked. They were drawn before any model "
    "was seen, from the name of the dataset, and are the same for every method. A gallery shows what answers look like; it "
    "is no evidence."
)
CHANGES = (
    "Questions whose place moved most, on a logarithmic scale and as a mean over all finished seeds: from place 2 to 1 counts "
    "as much as from 200 to 100. The two numbers are the places before and after. Both ends of the list are extremes among "
    "many questions, so chance alone puts something there."
)


@dataclass(frozen=True)
class Gallery:
    """What the section's own template shows."""

    view: GalleryView
    introduction: str = INTRODUCTION
    changes: str = CHANGES


def section(found: Collected, dataset: str, *, room: int | None = None) -> Section | None:
    """None without an album; `room` limits the characters of its pictures."""
    album: Album | None = found.albums.get(dataset)
    if album is None:
        return None
    data = Gallery(gallery_view(album, room=room))
    title = found.titled("Gallery", dataset)
    return Section(f"{dataset}-gallery", title, nav="Gallery", template="gallery", data=data)
