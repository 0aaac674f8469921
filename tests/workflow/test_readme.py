"""README.md and docs/: short enough, every link leads somewhere, every command works.

What is long is planned only (`snakemake -n`, `make -n`); what a reader does with a finished smoke run is done.
"""

from __future__ import annotations

import argparse
import re
import shlex
import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml

from lgsf.cli import parser
from lgsf.config.file import Config
from tests.support.packs import write_pack
from tests.workflow.conftest import Tree

PAGES = ("README.md", *(f"docs/{name}.md" for name in ("cost", "data", "measured", "own_model", "results", "running", "sharing", "trust")))  # fmt: skip
WORDS = 1400  # everything counts: prose, tables, code, addresses
IMPORTS = "imports" in Config.model_fields  # the section that takes a model's own scores


def text_of(page: str) -> str:
    return (Path(__file__).parents[2] / page).read_text(encoding="utf-8")


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", text_of(page), re.MULTILINE | re.DOTALL)


def commands(*pages: str) -> list[str]:
    """The command lines of all shell blocks, without their comments."""
    lines = [line for page in pages for block in blocks(page, "sh") for line in block.splitlines()]
    return [stripped for line in lines if (stripped := line.partition("  #")[0].strip())]


def mine(page: str = "README.md") -> dict[str, str]:
    """Section of the configuration -> the block that shows it."""
    return {next(iter(yaml.safe_load(block))): block for block in blocks(page, "yaml")}


def test_the_readme_is_short() -> None:
    assert len(text_of("README.md").split()) <= WORDS


def test_every_kind_of_command_is_looked_at() -> None:
    """A command that no test below knows would be one that nobody runs."""
    first = {shlex.split(line)[0].removeprefix(".venv/bin/") for line in commands(*PAGES)}
    assert first == {"make", "snakemake", "lgsf"}
    assert len(commands("README.md")) >= 6
    languages = {found for page in PAGES for found in re.findall(r"^```(\w+)$", text_of(page), re.MULTILINE)}
    assert languages <= {"sh", "python", "yaml", "mermaid", "bibtex"}


@pytest.mark.parametrize("page", [*PAGES, "config/README.md", "CONTRIBUTING.md", "docs/architecture.md"])
def test_links_lead_to_files_and_headings(page: str, repository: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", text_of(page)):
        if target.startswith("http"):
            continue
        name, _, anchor = target.partition("#")
        file = (repository / page).parent / name if name else repository / page
        assert file.exists(), f"{page} names {target}"
        if anchor:
            headings = re.findall(r"^#+ (.*)$", file.read_text(encoding="utf-8"), re.MULTILINE)
            assert anchor in {re.sub(r"[^\w -]", "", h.lower()).replace(" ", "-") for h in headings}, target


def test_the_tables_of_the_readme_are_those_of_the_results() -> None:
    rows = re.findall(r"^\| (?:LGSF|Base|VSE).*±.*$", text_of("README.md"), re.MULTILINE)
    assert len(rows) >= 5
    assert set(rows) <= set(text_of("docs/results.md").splitlines())


def test_the_citation_is_that_of_the_citation_file(repository: Path) -> None:
    cited = yaml.safe_load((repository / "CITATION.cff").read_text())
    (block,) = blocks("README.md", "bibtex")
    for value in (cited["version"], cited["references"][0]["title"], cited["references"][0]["journal"]):
        assert value in block
    assert cited["title"].replace("LGSF", "{LGSF}") in block


@pytest.mark.parametrize("line", [line for line in commands(*PAGES) if "lgsf " in line])
def test_verbs_take_these_arguments(line: str) -> None:
    words = shlex.split(line)
    try:
        parser().parse_args(words[1:])
    except (SystemExit, argparse.ArgumentError):
        pytest.fail(line)


def test_make_knows_these_words(tree: Tree, tmp_path: Path) -> None:
    make = shutil.which("make")
    if make is None:
        pytest.skip("make is not installed")
    words = [shlex.split(line)[1] for line in commands(*PAGES) if line.startswith("make ")]
    assert {"reproduce", "smoke", "test"} <= set(words)
    code = f"import subprocess, sys; sys.exit(subprocess.run([{make!r}, '--dry-run', *sys.argv[1:]]).returncode)"
    outcome = tree.run("-c", code, *dict.fromkeys(words))
    assert outcome.code == 0 and "snakemake --cores all" in outcome.text, outcome.text


def plan(tree: Tree, line: str) -> None:
    words = shlex.split(line)
    assert words[0] == "snakemake"
    tree.plan("--quiet", "host", *words[1:])


@pytest.fixture
def owner(tree: Tree, tmp_path: Path) -> Tree:
    """The repository as a reader has it who has put a pack and scores in place."""
    folder = tmp_path / "own"
    shutil.copytree(tree.root, folder, symlinks=True)
    write_pack(folder / "pack")
    np.save(folder / "scores.npy", np.zeros((500, 2500), np.float32))
    return Tree(folder)


@pytest.mark.seconds
@pytest.mark.parametrize("section", ["datasets", "imports"])
def test_a_file_of_ones_own_is_planned(owner: Tree, section: str) -> None:
    (owner.root / "mine.yaml").write_text(mine()[section].replace("/data/f8k_precomp", "pack"))
    lines = [line for line in commands("README.md") if "mine.yaml" in line]
    assert len(lines) == 2
    (line,) = [line for line in lines if ("flickr8k" in line) == (section == "datasets")]
    plan(owner, line)


@pytest.mark.slow
@pytest.mark.parametrize("line", [line for line in commands("docs/running.md") if line.startswith("snakemake")])
def test_the_workflow_has_these_targets(tree: Tree, line: str) -> None:
    plan(tree, line.replace("--use-conda", ""))


@pytest.mark.seconds
def test_what_a_reader_does_after_the_smoke_test(finished: Tree) -> None:
    """The verbs and the Python of the README, in the folder where `make smoke` has run."""
    (verb,) = [line for line in commands("README.md") if "lgsf inspect" in line]
    (check,) = [line for line in commands("README.md") if "lgsf verify" in line]
    (code,) = blocks("README.md", "python")
    picture, reader = finished.root / "found.png", finished.root / "reader.py"
    reader.write_text(code, encoding="utf-8")
    try:
        outcome = finished.forked("lgsf", *shlex.split(verb)[1:])
        assert outcome.code == 0 and "scenes" in outcome.text, outcome.text
        outcome = finished.forked("lgsf", *shlex.split(check)[1:])
        assert outcome.code == 0 and "No broken link" in outcome.text and "not tied" not in outcome.text, outcome.text
        outcome = finished.forked(reader.name)
        assert outcome.code == 0, outcome.text
        assert "<ranks of 16 images" in outcome.text and "against vsepp" in outcome.text
        assert picture.stat().st_size > 1000
    finally:
        picture.unlink(missing_ok=True)
        reader.unlink()
        for name in ("inspection.json", "inspection.md"):
            (finished.root / "resources/smoke/scenes" / name).unlink(missing_ok=True)
