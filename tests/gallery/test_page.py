"""The gallery on the page: escaped, marked, small enough, and made from the album alone."""

from __future__ import annotations

import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import pytest

from lgsf.gallery.album import read_album, write_album
from lgsf.gallery.collect import write_albums
from lgsf.gallery.pictures import Thumbnail
from lgsf.gallery.show import gallery_view
from lgsf.report.page import PAGE_LIMIT, write_report
from tests.support import material
from tests.support.synthetic import experiment, write_tables_and_verdicts


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Results, tables and album; dataset and photos are gone when the report is made."""
    root = tmp_path_factory.mktemp("page")
    material.write_dataset(root / "resources/toy", author=["<b>Ann</b>"] * 60)
    material.write_photos(root / "photos")
    material.write_runs(root / "results", root / "resources/toy")
    write_tables_and_verdicts(experiment(), results=root / "results", out=root / "tables")
    write_albums(
        experiment(), results=root / "results", resources=root / "resources",
        photos={"toy": str(root / "photos")}, out=root / "tables/album",
    )  # fmt: skip
    shutil.rmtree(root / "resources")
    shutil.rmtree(root / "photos")
    return root


def report(root: Path, out: Path) -> str:
    return write_report(experiment(), results=root / "results", tables=root / "tables", out=out).read_text("utf-8")


@pytest.fixture(scope="module")
def page(root: Path) -> str:
    return report(root, root / "report")


class _Tags(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.seen: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))


def test_captions_and_names_are_text(page: str) -> None:
    tags = [tag for tag, _ in _Tags(page).seen]
    assert tags.count("script") == 1
    assert "<script>alert" not in page
    assert page.count("&lt;script&gt;alert(&#39;caption&#39;)&lt;/script&gt; &amp;") > 20
    assert "&lt;b&gt;Ann&lt;/b&gt;" in page and "<b>Ann" not in page
    assert page.count(material.CHINESE) > 20


def test_every_picture_stands_in_the_page_once_and_has_words(page: str) -> None:
    tags = _Tags(page).seen
    stored = [attributes for tag, attributes in tags if tag == "image"]
    assert len({a["id"] for a in stored}) == len(stored) > 20
    assert all((a["href"] or "").startswith("data:image/webp;base64,") for a in stored)
    used = [(a["href"] or "")[1:] for tag, a in tags if tag == "use"]
    assert set(used) <= {a["id"] for a in stored}
    assert len(used) > len(stored) / 2
    labels = [
        a.get("aria-label") or a.get("aria-labelledby") for tag, a in tags if tag == "svg" and "aria-hidden" not in a
    ]
    assert all(labels)


def test_right_answers_are_marked_in_words(page: str, root: Path) -> None:
    album = read_album(root / "tables/album/toy.json")
    assert album is not None
    answers = [(q, answer) for q in (*album.questions, *album.changes) for answer in q.answers]
    right = sum(
        row == material.CAPTION_IMAGE[q.row] if q.direction == "t2i" else material.CAPTION_IMAGE[row] == q.row
        for q, answer in answers
        for row in answer.top
    )
    assert page.count('<b class="tick">✓ right</b>') == right > 5
    for _, answer in answers:
        assert re.search(rf"seed {answer.seed}: (first right caption|right picture) at place {answer.place}<", page)


def test_gains_and_losses_say_both_places(page: str, root: Path) -> None:
    album = read_album(root / "tables/album/toy.json")
    assert album is not None
    for change in album.changes:
        assert f"<b>{change.before:,.0f} → {change.after:,.0f}</b>" in page
    assert "LGSF against VSE++: pictures that ask for captions" in page


def test_attention_is_drawn_where_it_is_known(page: str) -> None:
    assert page.count("Graph attention of LGSF, seed 0") == 8
    assert page.count("Words and regions of VSE++, seed 0") == 8
    assert "“dog” goes to the region at the top left with 70 %." in page


def test_without_an_album_there_is_no_gallery(root: Path, tmp_path: Path) -> None:
    shutil.copytree(root / "tables", tmp_path / "tables", ignore=shutil.ignore_patterns("album"))
    page = write_report(
        experiment(), results=root / "results", tables=tmp_path / "tables", out=tmp_path / "out"
    ).read_text()
    assert 'id="toy-gallery"' not in page and 'href="#toy-gallery"' not in page


def test_pictures_give_way_before_the_page_gets_too_large(root: Path, tmp_path: Path) -> None:
    album = read_album(root / "tables/album/toy.json")
    assert album is not None
    huge = Thumbnail(data="A" * 600_000, width=144, height=108)
    images = {row: entry.model_copy(update={"picture": huge}) for row, entry in album.images.items()}
    shutil.copytree(root / "tables", tmp_path / "tables")
    write_album(tmp_path / "tables/album/toy.json", album.model_copy(update={"images": images}))
    path = write_report(experiment(), results=root / "results", tables=tmp_path / "tables", out=tmp_path / "out")
    assert 0.8 * PAGE_LIMIT < path.stat().st_size <= PAGE_LIMIT
    text = path.read_text()
    kept = text.count("<image ")
    assert 0 < kept < len(images)
    assert f"{len(images) - kept} pictures stand here in words" in text


def test_room_for_nothing_leaves_words(root: Path) -> None:
    album = read_album(root / "tables/album/toy.json")
    assert album is not None
    view = gallery_view(album, room=0)
    assert view.store == [] and view.bytes == 0
    strip = view.asked[0].answers[0].items
    assert all(item.picture is None and item.text.startswith("picture image") for item in strip)
    assert all(not question.looks for question in (*view.asking, *view.asked))


def test_equal_albums_give_equal_pages(page: str, root: Path, tmp_path: Path) -> None:
    assert report(root, tmp_path) == page


def test_the_markdown_twin_lists_gains_and_losses_as_text(page: str, root: Path) -> None:
    text = (root / "report/report.md").read_text("utf-8")
    assert "### LGSF against VSE++: pictures that ask for captions" in text
    assert text.count(" → ") > 20
    assert "<script>" not in text
