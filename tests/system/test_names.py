"""One rule for names and one for file names; both know the ways out of a folder."""

from __future__ import annotations

import pytest

from lgsf.system.errors import LgsfError
from lgsf.system.names import check_file_name, check_name, shown


@pytest.mark.parametrize("name", ["flickr30k", "a", "_", "x" * 100])
def test_names(name: str) -> None:
    assert check_name(name, what="x") == name


@pytest.mark.parametrize(
    "name",
    [
        "",
        "../../escaped",
        "/etc",
        "a/b",
        "a b",
        "A",
        ".",
        "..",
        "a.b",
        "é",
        "a\0",
        "a\n",
        "x" * 101,
        None,
        3,
        ["a"],
        b"a",
        "а",
    ],
)
def test_no_names(name: object) -> None:
    with pytest.raises(LgsfError, match=r"^data.json: 'name': a name has .*\.$") as caught:
        check_name(name, what="data.json: 'name'")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["a.jpg", "images/train/000000.png", "a b.png", "ü.png", "..a/b", "a..b", "."])
def test_file_names(name: str) -> None:
    assert check_file_name(name, what="x") == name


@pytest.mark.parametrize(
    "name",
    ["", "/etc/passwd", "../a", "a/../../b", "a/..", "..", "C:\\x", "\\\\host\\x", "..\\x", "a\0b", "a\nb", None, 7],
)
def test_ways_out_of_a_folder(name: object) -> None:
    with pytest.raises(LgsfError, match=r"^t, row 3: .*\.$"):
        check_file_name(name, what="t, row 3")


def test_what_a_sentence_shows() -> None:
    assert shown("x\ny") == "'x\\ny'"
    assert len(shown("x" * 10**7)) < 100 and shown("x" * 10**7).endswith("…")
    assert shown(("a",)) == "['a']"
    assert len(shown(list(range(10**5)))) < 100
