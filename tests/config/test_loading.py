"""The strict loader gives what PyYAML gives where all readers of YAML agree; what it refuses is in test_bad_configurations."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from lgsf.config.file import Config
from lgsf.config.loading import load, load_argument, load_file, parse, reread
from lgsf.system.errors import LgsfError


def test_every_shipped_file_reads_as_it_did(repository: Path) -> None:
    files = sorted((repository / "config").glob("*.yaml"))
    assert len(files) >= 7
    for file in files:
        assert load_file(file).values == yaml.safe_load(file.read_text(encoding="utf-8"))


def test_every_shipped_file_is_a_configuration(repository: Path) -> None:
    base = repository / "config/config.yaml"
    for file in sorted((repository / "config").glob("*.yaml")):
        Config.read([base, file] if file != base else [base])


plain = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**12), 10**12) | st.text(st.characters(codec="ascii"), max_size=12)
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abc_1 -", max_size=5), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip


@given(st.dictionaries(st.text("abcxyz", min_size=1, max_size=5), plain, max_size=4))
def test_what_pyyaml_writes_is_read_back(values: dict[str, Any]) -> None:
    for style in (None, False, True):
        text = yaml.safe_dump(values, default_flow_style=style, allow_unicode=True)
        read = _read(text)
        # PyYAML writes the text "=" and numbers such as 1.0e+16 plain; that is refused, and never another value.
        assert read == values or ("readers of YAML" in str(read) or "special word" in str(read)), text


def _read(text: str) -> Any:
    """The values, or the sentence that refuses them."""
    try:
        return parse(text, source="f").values
    except LgsfError as error:
        return str(error)


def test_files_are_laid_over_one_another_as_snakemake_does(tmp_path: Path) -> None:
    one, two = tmp_path / "one.yaml", tmp_path / "two.yaml"
    one.write_text("a: {b: 1, c: [1, 2]}\nd: x\n", encoding="utf-8-sig")  # a byte-order mark is no part of a key
    two.write_text("a:\n  c: [3]\n")
    loaded = load([one, two], ["d=y", "a={b: 7}", "e=[0, 1.5, true, text]", "f="])
    assert loaded.values == {"a": {"b": 7, "c": [3]}, "d": "y", "e": [0, 1.5, True, "text"], "f": None}
    assert loaded.places["a", "c"] == f"{two}, line 2"
    assert loaded.places["a", "b"] == "--config a, line 1"


def test_numbers_inside_arguments_are_numbers() -> None:
    assert load_argument("run={seeds: [0, 1], methods: [a]}").values == {"run": {"seeds": [0, 1], "methods": ["a"]}}
    assert load_argument("title='12'").values == {"title": "12"}
    assert load_argument("replace_runs=True").values == {"replace_runs": True}


@pytest.mark.parametrize("text", ["", "# nothing but words\n", "---\n", "{}"])
def test_an_empty_file_changes_nothing(text: str) -> None:
    assert parse(text, source="f").values == {}


def test_what_snakemake_merged_is_read_again(tmp_path: Path) -> None:
    base, over = tmp_path / "config.yaml", tmp_path / "over.yaml"
    base.write_text("experiment: a\nrun: {seeds: [0]}\n")
    over.write_text("run: {seeds: [1, 2]}\n")
    merged = {"experiment": "a", "run": {"seeds": ["3"]}, "title": "t"}  # --config makes text of the 3
    arguments = ["run={seeds: [3]}", "title=t"]
    loaded = reread(merged, [over, str(base)], [over], arguments)
    assert loaded.values == {"experiment": "a", "run": {"seeds": [3]}, "title": "t"}
    base.write_text("experiment: a\nexperiment: b\n")
    with pytest.raises(LgsfError, match=r"config.yaml, line 2: the key 'experiment'"):
        reread(merged, [over, str(base)], [over], arguments)


def test_a_part_of_another_workflows_configuration_is_taken_as_it_is(tmp_path: Path) -> None:
    theirs = tmp_path / "config.yaml"
    theirs.write_text("ours: {experiment: a}\ntheirs: {paired: yes}\n")
    part = {"experiment": "a"}
    assert reread(part, [str(theirs)], [], []).values == part
    assert reread(part, [], [], []).values == part
