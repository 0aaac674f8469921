"""The first screen: the sentence follows the tests, the highest row is named, the table stands in groups."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest

from lgsf.config.experiment import Experiment
from lgsf.report.collected import Collected
from lgsf.report.front.finding import details, headline
from lgsf.report.front.picture import picture
from lgsf.report.front.table import best_means, main_block
from lgsf.report.groups import method_groups, method_parts
from lgsf.report.sections.glossary import TERMS, anchor, linker
from tests.support import synthetic


def _collected(root: Path, experiment: Experiment, **options: Any) -> Collected:
    results = synthetic.write_results(root / "results", **options)
    synthetic.write_tables_and_verdicts(experiment, results=results, out=root / "tables")
    return Collected(experiment, results=results, tables=root / "tables")


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Collected:
    return _collected(tmp_path_factory.mktemp("front"), synthetic.experiment())


def _say(found: Collected, finding: str, monkeypatch: pytest.MonkeyPatch, *, metric: str = "") -> str:
    """The headline if the tests of LGSF had this finding, for one metric or for all."""
    tests = found.tests.copy()
    rows = (tests["method"] == "lgsf") & (tests["reference"] == "base")
    tests.loc[rows & (tests["metric"] == metric if metric else True), "finding"] = finding
    monkeypatch.setattr(found, "tests", tests)
    return headline(found)


def test_the_headline_says_what_the_tests_say(found: Collected, monkeypatch: pytest.MonkeyPatch) -> None:
    untested = "stands above the baseline VSE++"
    base = "its own ablation Base (all parts off)"
    assert _say(found, "beats", monkeypatch) == f"On toy, LGSF {untested}, and beats {base}."
    assert _say(found, "is beaten by", monkeypatch) == f"On toy, LGSF {untested}, and is beaten by {base}."
    assert _say(found, "no difference shown", monkeypatch) == (
        f"On toy, LGSF {untested}, but was not shown to differ from {base}."
    )
    mixed = _say(found, "beats", monkeypatch, metric="t2i_r1")
    assert f"beats {base} in image retrieval and was not shown to differ from it in text retrieval" in mixed
    assert _say(found, "n/a", monkeypatch).endswith("; too few of the runs finished for a test.")


def test_one_seed_is_called_what_it_is(tmp_path: Path) -> None:
    found = _collected(tmp_path, synthetic.experiment(seeds=[0]), seeds=(0,))
    assert headline(found).endswith("; with one seed per method this may be chance.")
    assert "interval" not in " ".join(details(found))
    wide, _ = picture(found, "toy", "full")
    assert not [shape for shape in wide.shapes if shape.css.startswith("spread")]


def test_the_highest_row_is_named_even_if_it_is_not_ours(found: Collected, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "Highest rSum (sum of six recalls): LGSF " in " ".join(details(found))
    summary = found.summary.copy()
    summary.loc[(summary["method"] == "vsepp") & (summary["metric"] == "rsum"), "mean"] = 599.0
    summary.loc[(summary["method"] == "base") & (summary["metric"] == "rsum"), "mean"] = 598.0
    monkeypatch.setattr(found, "summary", summary)
    said = " ".join(details(found))
    assert "Highest rSum (sum of six recalls): VSE++ 599.0" in said
    assert ", then Base (all parts off) 598.0" in said and "; LGSF " in said


def test_methods_stand_in_groups_and_controls_come_last(found: Collected) -> None:
    groups = {group.label: group.methods for group in method_groups(found, "toy")}
    assert list(groups.items()) == [
        ("Method under test", ("lgsf",)),
        ("Ablations", ("base", "no_gat")),
        ("Baselines", ("vsepp",)),
        ("Controls, no competitors", ("random", "oracle")),
    ]
    block = main_block(found, "toy", "full")
    assert [(group.rows, group.fixed) for group in block.groups] == [(1, False), (2, False), (1, False), (2, True)]


def test_all_that_equal_the_best_are_marked(found: Collected, monkeypatch: pytest.MonkeyPatch) -> None:
    summary = found.summary.copy()
    rows = summary["metric"] == "rsum"
    summary.loc[rows & summary["method"].isin(["lgsf", "vsepp"]), "mean"] = [
        500.04,
        499.96,
    ]  # both are printed as 500.0
    monkeypatch.setattr(found, "summary", summary)
    block = main_block(found, "toy", "full")
    column = block.names.index("rSum")
    assert [row[0].text for row in block.rows if row[column].css == "best"] == ["LGSF", "VSE++ (reference)"]
    assert best_means(summary)["rsum"] == 500.0  # the oracle's 600 is no competitor


def test_a_mark_needs_a_test(found: Collected) -> None:
    assert not [
        cell for row in main_block(found, "toy", "full").rows for cell in row if cell.mark
    ]  # VSE++ lacks a seed


@pytest.mark.parametrize(
    ("parameters", "parts"),
    [
        ({"graph": {"kind": "gatv2", "edges": "complete"}}, ["✓", "✓", "✓"]),
        ({"graph": {"kind": "none"}}, ["–", "✓", "✓"]),
        ({"graph": {"kind": "gatv2", "edges": "self"}}, ["self-edges", "✓", "✓"]),
        ({"interaction": {"kind": "none"}, "triangle": {"weight": 0.0}}, ["✓", "–", "–"]),
        ({"interaction": {"kind": "identity"}}, ["✓", "itself only", "✓"]),
        ({"triangle": None}, []),
    ],
)
def test_parts_are_read_from_the_settings(parameters: dict[str, Any], parts: list[str]) -> None:
    whole = {"graph": {"kind": "gatv2"}, "interaction": {"kind": "attention"}, "triangle": {"weight": 0.1}}
    facts = SimpleNamespace(config={"parameters": whole | parameters})
    assert list(method_parts(facts).values()) == parts  # type: ignore[arg-type]


def test_the_picture_shows_every_seed_and_the_interval_of_the_test(found: Collected) -> None:
    wide, narrow = picture(found, "toy", "full")
    trained = found.runs[(found.runs["kind"] != "control") & (found.runs["status"] == "finished")]
    assert len([s for s in wide.shapes if s.css.startswith("seed")]) == 3 * len(trained)
    assert len(narrow) == 3
    assert "LGSF " in wide.description and "VSE++ (reference) " in wide.description
    assert isinstance(found.tests, pd.DataFrame)


def test_terms_are_linked_once_and_text_stays_text() -> None:
    linked = linker()
    first = str(linked("Twins <b> and twins, three seeds"))
    assert first.count('class="term"') == 2 and "&lt;b&gt;" in first
    assert f'href="#{anchor("twins")}"' in first
    assert 'class="term"' not in linked("twins and a seed again")
    assert len({anchor(name) for name, *_ in TERMS}) == len(TERMS)
