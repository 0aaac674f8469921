"""From an album to what the page shows: answers, pictures, and boxes with the weight they got."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from lgsf.gallery.album import Album, Answer, Change, Direction, ImageEntry
from lgsf.gallery.looks import Look, looks_of
from lgsf.gallery.pictures import Thumbnail


@dataclass(frozen=True)
class Shown:
    """One picture of the page; `id` names it in the store of pictures."""

    id: str
    width: int
    height: int
    label: str


@dataclass(frozen=True)
class Item:
    """One candidate: a caption's text, or a picture with the words that stand in for it."""

    text: str
    picture: Shown | None
    right: bool


@dataclass(frozen=True)
class AnswerList:
    """The best candidates of one run, best first."""

    title: str
    seed: int
    found: str
    items: list[Item]


@dataclass(frozen=True)
class QuestionView:
    """One question with the answers of all compared methods, and what they looked at.

    captions  of a picture that asks;  belongs  says of a caption that asks where it belongs
    """

    heading: str
    picture: Shown | None
    captions: list[str]
    belongs: str
    answers: list[AnswerList]
    looks: list[Look]


@dataclass(frozen=True)
class ChangeView:
    """A question whose place changed much."""

    moved: str
    question: str
    picture: Shown | None
    answers: list[AnswerList]


@dataclass(frozen=True)
class ChangeGroup:
    """Gains and losses against one method in one direction."""

    title: str
    gains: list[ChangeView]
    losses: list[ChangeView]


@dataclass(frozen=True)
class GalleryView:
    """The gallery of one dataset.

    store  (id, picture) of every picture, once; the page refers to them
    asking, asked  questions by images, questions by captions
    """

    dataset: str
    store: list[tuple[str, Thumbnail]]
    asking: list[QuestionView]
    asked: list[QuestionView]
    changes: list[ChangeGroup]
    credits: list[str]
    notes: list[str]

    @property
    def bytes(self) -> int:
        """What the pictures take on the page."""
        return sum(len(picture.data) for _, picture in self.store)


def gallery_view(album: Album, *, room: int | None = None) -> GalleryView:
    """The gallery of an album; `room` limits the characters of its pictures, the last ones become words."""
    notes = list(album.notes)
    if room is not None:
        album, left = _within(album, room)
        notes += [f"{left} pictures stand here in words, which keeps the page small."] if left else []
    page = _Page(album)
    views = [page.question(number) for number in range(len(album.questions))]
    asking = [view for view, q in zip(views, album.questions, strict=True) if q.direction == "i2t"]
    asked = [view for view, q in zip(views, album.questions, strict=True) if q.direction == "t2i"]
    return GalleryView(
        dataset=album.dataset,
        store=[(page.id(row), entry.picture) for row, entry in album.images.items() if entry.picture is not None],
        asking=asking,
        asked=asked,
        changes=list(page.changes()),
        credits=_credits(album),
        notes=list(dict.fromkeys(notes)),
    )


def _within(album: Album, room: int) -> tuple[Album, int]:
    """The album with as many of its first pictures as fit into `room` characters, and how many were dropped."""
    images, left = {}, 0
    for row, entry in album.images.items():
        size = len(entry.picture.data) if entry.picture is not None else 0
        if size > room or (left and size):
            images[row], left = entry.model_copy(update={"picture": None}), left + 1
        else:
            images[row], room = entry, room - size
    return album.model_copy(update={"images": images}), left


def _credits(album: Album) -> list[str]:
    """Who made which pictures: one sentence where all have the same credit, else a line per picture."""
    shown = {entry.id: entry.credit for entry in album.images.values() if entry.picture is not None and entry.credit}
    if len(set(shown.values())) == 1:
        return [f"All pictures: {next(iter(shown.values()))}."]
    return [f"{id_}: {credit}." for id_, credit in sorted(shown.items())]


class _Page:
    """Texts and pictures of one album by row."""

    def __init__(self, album: Album) -> None:
        self._album = album
        self._titles = {answer.method: answer.title for q in album.questions for answer in q.answers}

    def id(self, row: int) -> str:
        return f"{self._album.dataset}-picture-{row}"

    def question(self, number: int) -> QuestionView:
        question = self._album.questions[number]
        image = self._album.images[question.image]
        caption = self._album.captions[question.caption].text
        by_image = question.direction == "i2t"
        return QuestionView(
            heading=f"Picture {image.id}" if by_image else f"“{caption}”",
            picture=self._shown(question.image, whole=True),
            captions=image.captions if by_image else [],
            belongs=f"It belongs to picture {image.id}.",
            answers=[self._answers(answer, question.direction, question.row) for answer in question.answers],
            looks=looks_of(question, image, caption) if image.picture is not None and image.boxes else [],
        )

    def changes(self) -> Iterator[ChangeGroup]:
        """A group per method that is compared with and direction."""
        names = {"i2t": "pictures that ask for captions", "t2i": "captions that ask for a picture"}
        for reference in dict.fromkeys(change.reference for change in self._album.changes):
            for direction, name in names.items():
                here = [c for c in self._album.changes if (c.reference, c.direction) == (reference, direction)]
                if not here:
                    continue
                before, after = (answer.title for answer in here[0].answers)
                yield ChangeGroup(
                    title=f"{after} against {before}: {name}",
                    gains=[self._change(change) for change in here if change.after < change.before],
                    losses=[self._change(change) for change in here if change.after > change.before],
                )

    def _change(self, change: Change) -> ChangeView:
        by_image = change.direction == "i2t"
        if by_image:
            image = self._album.images[change.row]
            words = f"picture {image.id}: “{image.captions[0]}”"
        else:
            words = f"“{self._album.captions[change.row].text}”"
        return ChangeView(
            moved=f"{change.before:,.0f} → {change.after:,.0f}",
            question=words,
            picture=self._shown(change.row if by_image else self._album.captions[change.row].image),
            answers=[self._answers(answer, change.direction, change.row) for answer in change.answers],
        )

    def _answers(self, answer: Answer, direction: Direction, row: int) -> AnswerList:
        if direction == "i2t":
            captions = [self._album.captions[candidate] for candidate in answer.top]
            items = [Item(caption.text, None, caption.image == row) for caption in captions]
            what = "first right caption"
        else:
            own = self._album.captions[row].image
            items = [Item(self._words(candidate), self._shown(candidate), candidate == own) for candidate in answer.top]
            what = "right picture"
        return AnswerList(answer.title, answer.seed, f"{what} at place {answer.place:,}", items)

    def _words(self, row: int) -> str:
        entry = self._album.images[row]
        return f"picture {entry.id}: {entry.captions[0]}"

    def _shown(self, row: int, *, whole: bool = False) -> Shown | None:
        """A picture with its captions as its text (all of them if `whole`), or None where it is not there."""
        entry: ImageEntry = self._album.images[row]
        if entry.picture is None:
            return None
        captions = entry.captions if whole else entry.captions[:1]
        label = f"Picture {entry.id}: " + " / ".join(captions)
        return Shown(self.id(row), entry.picture.width, entry.picture.height, label)
