"""The report tells what the runs told: numbers, gaps, hostile titles, equal bytes for equal input."""

from __future__ import annotations

import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace

import jinja2
import numpy as np
import pandas as pd
import pytest

from lgsf.config.experiment import Experiment
from lgsf.report.collected import Collected
from lgsf.report.page import write_report
from lgsf.system.errors import LgsfError
from lgsf.tables.collect import collect
from lgsf.tables.finished import Finished
from lgsf.tables.summary import summarise
from lgsf.verdict.claim import untestable
from tests.support import synthetic

HOSTILE = "<script>alert('x')</script> & \"co\""
CHINESE = "局部语义与全局语义"


def _render(root: Path, experiment: Experiment, **options: object) -> str:
    results = synthetic.write_results(root / "results", **options)  # type: ignore[arg-type]
    synthetic.write_tables_and_verdicts(experiment, results=results, out=root / "tables")
    page = write_report(experiment, results=results, tables=root / "tables", out=root / "report")
    assert page == root / "report/index.html"
    return _plain(page)


def _plain(page: Path) -> str:
    """The page with plain spaces, and without the links of terms to the glossary."""
    text = page.read_text(encoding="utf-8").replace("\u00a0", " ")
    return re.sub(r'<a class="term"[^>]*>(.*?)</a>', r"\1", text)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report")
    _render(folder, synthetic.experiment())
    return folder


@pytest.fixture(scope="module")
def page(root: Path) -> str:
    return _plain(root / "report/index.html")


class _Outline(HTMLParser):
    """Tags, ids, and text of a page; unbalanced tags are an error."""

    VOID = frozenset({"meta", "link", "br", "img", "input", "hr"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[tuple[str, dict[str, str | None]]] = []
        self.ids: list[str] = []
        self.words: list[str] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))
        self.ids += [value for name, value in attrs if name == "id" and value]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in ("script", "style"):
            self.words.append(data)


def test_the_table_shows_the_numbers_of_the_ranks(root: Path, page: str) -> None:
    summary = summarise(collect(synthetic.experiment(), Finished(root / "results"))).set_index(["method", "metric"])
    words = " ".join(_Outline(page).words)
    markdown = (root / "report/report.md").read_text()
    for method in ("lgsf", "vsepp", "oracle"):
        for metric in ("i2t_r1", "t2i_r10", "rsum"):
            mean, sd = summary.loc[(method, metric), ["mean", "sd"]]
            assert f"{mean:.1f} ± {sd:.1f}" in words.replace("  ", " ")
            assert f"{mean:.1f} ± {sd:.1f}" in markdown


def test_the_page_is_well_formed_with_unique_ids_and_living_links(page: str) -> None:
    outline = _Outline(page)
    assert len(outline.ids) == len(set(outline.ids))
    for tag, attributes in outline.seen:
        for name in ("aria-labelledby", "aria-describedby"):
            for target in (attributes.get(name) or "").split():
                assert target in outline.ids
        if tag == "a" and (attributes["href"] or "").startswith("#"):
            assert (attributes["href"] or "")[1:] in outline.ids


def test_nothing_is_fetched(page: str) -> None:
    for tag, attributes in _Outline(page).seen:
        assert tag not in ("link", "img", "iframe", "object", "embed")
        assert "src" not in attributes
        if tag == "script":
            assert not attributes
    style = re.search(r"<style>(.*?)</style>", page, re.DOTALL)
    assert style is not None
    assert "url(" not in style[1]
    assert "@import" not in style[1]


def test_every_picture_has_a_title_and_words(page: str) -> None:
    pictures = re.findall(
        r'<svg role="img" aria-labelledby="(\S+) (\S+)".*?<desc id="(\S+)">(.*?)</desc>', page, re.DOTALL
    )
    assert len(pictures) == page.count("<svg") > 10
    for _, label, description_id, words in pictures:
        assert label == description_id
        assert len(words.split()) > 5


def test_gaps_are_shown_with_their_reason(page: str) -> None:
    assert "the loss is not finite at step 212 (epoch 6)" in page
    assert "16 of 18 runs finished; 1 failed and 1 missing." in page
    assert page.count("incomplete</small>") >= 2
    assert "never replaced by another seed" in page


def test_the_first_screen_says_what_cannot_be_said(page: str) -> None:
    assert "not testable on this data" in page
    assert "never evidence for the claim" in page
    assert "+6.4 % in image retrieval and +1.3 % in text retrieval" in page


def test_differences_are_taken_against_reference_and_base(page: str) -> None:
    assert "Differences to VSE++" in page
    assert "Differences to Base (all parts off)" in page
    assert "There is no test here: needs 3 seeds of both methods, has 3 and 2." in page
    assert "seeds and images both vary" in page
    assert re.search(r"Base \(all parts off\): [\d.]+ % and [\d.]+ %, a difference of [+−][\d.]+ \(95 % interval", page)


def test_a_difference_between_text_encoders_is_marked(page: str) -> None:
    assert page.count("Text encoder BiGRU against GRU in every row.") == 1  # all others against VSE++, said once
    assert page.count("(text encoder GRU against BiGRU)") == 1  # VSE++ against base


def test_choices_are_marked_with_their_reason(page: str) -> None:
    assert "dev rSum was highest at 40 degrees" in page
    assert "2 choices of ours" in page
    assert "gat false instead of true" in page


def test_learning_says_where_a_run_was_stuck(page: str) -> None:
    assert "sat on the collapse plateau in epoch 2, 3" in page
    assert "active share of the angular term" in page
    assert "Hardest negatives start at step 40." in page


def test_equal_input_gives_equal_bytes(root: Path, tmp_path: Path) -> None:
    write_report(synthetic.experiment(), results=root / "results", tables=root / "tables", out=tmp_path)
    first = {p.relative_to(root / "report"): p.read_bytes() for p in (root / "report").rglob("*") if p.is_file()}
    second = {p.relative_to(tmp_path): p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
    assert first == second
    assert len(first) > 20


def test_what_looks_wrong_with_the_data_is_said(tmp_path: Path) -> None:
    results = synthetic.write_results(tmp_path / "results")
    for path in results.rglob("run.json"):
        record = json.loads(path.read_text())
        record["data"]["warnings"] = ["split test: 3 of its 9 images (33.3 %) are also in train."]
        path.write_text(json.dumps(record))
    tables = tmp_path / "tables"
    synthetic.write_tables_and_verdicts(synthetic.experiment(), results=results, out=tables)
    page = write_report(synthetic.experiment(), results=results, tables=tables, out=tmp_path / "report")
    for file in (page, page.with_name("report.md")):
        text = file.read_text(encoding="utf-8").replace("\u00a0", " ")
        assert "What looks wrong with them: split test: 3 of its 9 images (33.3 %) are also in train." in text


def test_figures_are_files_and_old_ones_go(root: Path) -> None:
    stale = root / "report/figures/of-a-method-that-is-gone.svg"
    stale.write_text("old")
    write_report(synthetic.experiment(), results=root / "results", tables=root / "tables", out=root / "report")
    assert not stale.exists()
    for path in (root / "report/figures").glob("*.svg"):
        text = path.read_text()
        assert text.startswith("<svg")
        _Outline(text)


def test_hostile_and_foreign_titles_are_text(tmp_path: Path) -> None:
    methods = [{"name": n, "title": t} for n, t, *_ in synthetic.METHODS]
    methods[0]["title"], methods[1]["title"] = HOSTILE, CHINESE
    page = _render(tmp_path, synthetic.experiment(methods=methods, title=HOSTILE))
    outline = _Outline(page)
    assert [tag for tag, _ in outline.seen].count("script") == 1
    assert "<script>alert" not in page
    assert page.count("&lt;script&gt;alert") > 10
    assert CHINESE in page
    markdown = (tmp_path / "report/report.md").read_text(encoding="utf-8")
    assert "<script>" not in markdown
    assert CHINESE in markdown
    for path in (tmp_path / "report/figures").glob("*.svg"):
        assert "<script" not in path.read_text(encoding="utf-8")


def test_the_policy_lets_only_the_pages_own_script_run(page: str) -> None:
    import base64
    import hashlib

    script = re.search(r"<script>(.*?)</script>", page, re.DOTALL)
    assert script is not None
    digest = base64.b64encode(hashlib.sha256(script[1].encode()).digest()).decode()
    assert f"script-src &#39;sha256-{digest}&#39;" in page or f"script-src 'sha256-{digest}'" in page
    assert "default-src 'none'" in page


def test_one_seed_folds_and_no_results_at_all(tmp_path: Path) -> None:
    one = _render(tmp_path / "one", synthetic.experiment(seeds=[0]), seeds=(0,), folds=3)
    assert "One seed shows no spread" in one
    assert "mean over folds" in one.lower()
    experiment = synthetic.experiment()
    (tmp_path / "empty").mkdir()
    synthetic.write_tables_and_verdicts(experiment, results=tmp_path / "empty", out=tmp_path / "tables")
    write_report(experiment, results=tmp_path / "empty", tables=tmp_path / "tables", out=tmp_path / "report")
    empty = (tmp_path / "report/index.html").read_text()
    assert "0 of 18 runs finished; 18 missing." in empty
    assert "nan" not in " ".join(_Outline(empty).words).split()


def test_an_absent_reference_is_said(tmp_path: Path) -> None:
    page = _render(tmp_path, synthetic.experiment(reference="scan"))
    assert "The reference method, scan, is not among the methods of this experiment." in page


def test_a_broken_log_is_one_sentence(tmp_path: Path) -> None:
    experiment = synthetic.experiment()
    results = synthetic.write_results(tmp_path / "results")
    synthetic.write_tables_and_verdicts(experiment, results=results, out=tmp_path / "tables")
    log = results / "toy/lgsf/seed0/log.jsonl"
    log.write_text(log.read_text() + '{"epoch": 13')
    with pytest.raises(LgsfError, match=r"log\.jsonl, line 13"):
        write_report(experiment, results=results, tables=tmp_path / "tables", out=tmp_path / "report")
    assert not (tmp_path / "report").exists()


@pytest.mark.parametrize(
    ("name", "images", "folds", "reason"),
    [
        ("coco", 5000, 5, None),
        ("coco", 1000, 1, "1000 test images in 1 fold"),
        ("flickr8k", 5000, 5, "flickr8k is not"),
    ],
)
def test_the_claim_is_testable_only_on_coco_1k(name: str, images: int, folds: int, reason: str | None) -> None:
    data = {"splits": {"test": {"images": images}}, "protocol": {"folds": folds}}
    found = untestable(name, data)
    assert found is None if reason is None else reason in str(found)


def test_templates_refuse_unknown_names(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import lgsf.report.page as report

    whole = report.report_page

    def without_title(found: Collected) -> SimpleNamespace:
        page = whole(found)
        return SimpleNamespace(**{name: value for name, value in vars(page).items() if name != "title"})

    monkeypatch.setattr(report, "report_page", without_title)
    with pytest.raises(jinja2.UndefinedError, match="title"):
        write_report(synthetic.experiment(), results=root / "results", tables=root / "tables", out=root / "other")


def test_contrast_of_text_is_aa_in_light_dark_and_print(page: str) -> None:
    """Every text colour against its paper, by the formula of WCAG 2: 4.5 at least."""
    themes = [dict(re.findall(r"--(\w+): (#\w+);", block)) for block in re.findall(r":root \{(.*?)\}", page, re.DOTALL)]
    assert len(themes) == 3
    for theme in themes:
        for name in ("ink", "muted", "accent"):
            assert _contrast(theme[name], theme["paper"]) >= 4.5, (name, theme)


def _contrast(one: str, other: str) -> float:
    def luminance(colour: str) -> float:
        digits = colour[1:] if len(colour) == 7 else "".join(c * 2 for c in colour[1:])
        channels = [int(digits[k : k + 2], 16) / 255 for k in (0, 2, 4)]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def test_provenance_reaches_down_to_checksums(root: Path, page: str) -> None:
    record = json.loads((root / "results/toy/lgsf/seed0/run.json").read_text())
    assert record["git"]["commit"] in page
    assert record["dataset_sha256"] in page
    assert record["config_sha256"] in page
    assert "torch 2.8.0" in page


def test_a_commit_is_data_in_both_pages(root: Path, tmp_path: Path) -> None:
    shutil.copytree(root / "results", tmp_path / "results")
    hostile = "<b>x</b> [here](javascript:alert) | `code` *loud*"
    for path in (tmp_path / "results").rglob("run.json"):
        record = json.loads(path.read_text())
        record["git"]["commit"] = hostile
        if record["config"]:
            record["config"]["model"] = "a`b|c:<i>D</i>"
        path.write_text(json.dumps(record))
    synthetic.write_tables_and_verdicts(synthetic.experiment(), results=tmp_path / "results", out=tmp_path / "tables")
    page = write_report(
        synthetic.experiment(), results=tmp_path / "results", tables=tmp_path / "tables", out=tmp_path / "report"
    )
    html, markdown = page.read_text(encoding="utf-8"), (tmp_path / "report/report.md").read_text(encoding="utf-8")
    escaped = r"&lt;b&gt;x&lt;/b&gt; \[here\](javascript:alert) \| \`code\` \*loud\*"
    assert markdown.count(escaped) >= 2  # how to cite, and the table of checksums
    assert r"a\`b\|c:&lt;i&gt;D&lt;/i&gt;" in markdown
    for raw in ("<b>", "<i>", "[here](", "`code`"):
        assert raw not in markdown
    assert "<b>x</b>" not in html and "<i>D" not in html


def test_on_coco_1k_the_claim_is_judged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import lgsf.verdict.claim

    monkeypatch.setattr(lgsf.verdict.claim, "COCO_TEST_IMAGES", synthetic.IMAGES)
    experiment = synthetic.experiment(datasets=["coco"], reference="base")
    page = _render(tmp_path, experiment, dataset="coco", folds=5)
    header = page[page.index("<header>") : page.index("</header>")]
    assert "not testable" not in header
    claim = r"read as relative gains over Base \(all parts off\): image retrieval \+6.4 %, here [+−][\d.]+ % \("
    assert re.search(claim, header)
    assert page.count('class="claimed"') == 2  # in both directions


def test_an_ensemble_is_called_one_wherever_it_is_shown(tmp_path: Path) -> None:
    results = synthetic.write_results(tmp_path / "results")
    members = [{"method": name, "title": name, "model": "x:Y"} for name in ("lgsf", "base")]
    for seed in synthetic.SEEDS[:2]:
        folder = shutil.copytree(results / f"toy/lgsf/seed{seed}", results / f"toy/pair/seed{seed}")
        record = json.loads((folder / "run.json").read_text())
        changes = {"kind": "ensemble", "method": "pair", "title": "Pair (ensemble)", "config_sha256": None}
        config = {"combine": "mean of scores", "members": members}
        (folder / "run.json").write_text(json.dumps({**record, **changes, "config": config}))
        (folder / "log.jsonl").unlink()
        with np.load(folder / "test/ranks.npz") as file:
            arrays = {**file}
        zeros = {name: np.zeros_like(arrays[name]) for name in ("i2t", "t2i", "i2t_fold", "t2i_fold")}
        np.savez_compressed(folder / "test/ranks.npz", **{**arrays, **zeros})
    methods = [{"name": name, "title": title} for name, title, *_ in synthetic.METHODS]
    methods.insert(1, {"name": "pair", "title": "Pair (ensemble)", "ensemble": True})
    experiment = synthetic.experiment(methods=methods)
    synthetic.write_tables_and_verdicts(experiment, results=results, out=tmp_path / "tables")
    write_report(experiment, results=results, tables=tmp_path / "tables", out=tmp_path / "report")
    texts = [tmp_path / "report/index.html", tmp_path / "report/report.md"]
    texts += [tmp_path / "tables" / f"summary.{ending}" for ending in ("md", "tex", "csv")]
    for text in [path.read_text(encoding="utf-8") for path in texts]:
        places = [match.end() for match in re.finditer("Pair", text)]
        assert places
        assert all(text.startswith(" (ensemble)", place) for place in places)
    page = texts[0].read_text(encoding="utf-8")
    assert "The mean of the score matrices of lgsf and base, trained one by one." in page
    runs = pd.read_csv(tmp_path / "tables/runs.csv")
    kinds = runs[runs["method"] == "pair"].set_index("seed")["kind"]
    assert kinds.to_dict() == {0: "ensemble", 1: "ensemble", 2: "ensemble"}  # the last one is missing
    (row,) = (line for line in texts[3].read_text().splitlines() if line.startswith("Pair"))
    assert "100.0" in row and "textbf" not in row  # the mean of two models is no candidate for the best model
    assert sum("textbf" in line for line in texts[3].read_text().splitlines()) >= 1
    methods[1] = {"name": "pair", "title": "Pair"}
    with pytest.raises(LgsfError, match="kind is 'ensemble', which does not fit the name 'pair'"):
        collect(synthetic.experiment(methods=methods), Finished(results))
    methods[1] |= {"ensemble": True}
    with pytest.raises(LgsfError, match=r"must end with ' \(ensemble\)'"):
        synthetic.experiment(methods=methods)
