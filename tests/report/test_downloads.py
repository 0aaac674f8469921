"""Tables as files: numbers in full, the same in every form, and nothing of an older report left."""

from __future__ import annotations

import io
from pathlib import Path

import pandas as pd

from lgsf.render.block import Cell, Group, numbers, table_block, words
from lgsf.render.flow import Details
from lgsf.report.downloads import block_frame, downloads, sweep
from lgsf.report.section import Section
from tests.support.world import World
from tests.support.world import copied as world_copied

ROWS = [
    [Cell("LGSF", "(text encoder BiGRU)"), Cell("48.7", "± 3.3", 48.66666, mark="†"), Cell("1 min 5 s", sort=65.25)],
    [Cell("VSE++"), Cell("–"), Cell("–")],
]
BLOCK = table_block("toy-results", "A & B", [*words("method"), *numbers("R@1", "time")], ROWS)


def test_numbers_are_in_full_with_what_stands_beside_them() -> None:
    frame = block_frame(BLOCK)
    assert list(frame.columns) == ["method", "method, beside it", "R@1", "R@1, mark", "R@1, beside it", "time"]
    assert frame["R@1"].tolist()[0] == 48.66666 and pd.isna(frame["R@1"][1])
    assert frame["time"][0] == 65.25
    assert frame["R@1, mark"].tolist() == ["†", ""]


def test_groups_are_a_column() -> None:
    grouped = table_block("t", "", BLOCK.columns, ROWS)
    grouped = type(grouped)("t", "", grouped.columns, grouped.rows, groups=(Group("Ours", 1), Group("Baselines", 1)))
    assert block_frame(grouped)["group"].tolist() == ["Ours", "Baselines"]


def test_every_form_says_the_same_and_folds_are_opened() -> None:
    files = downloads([Section("s", "S", items=(Details("more", (BLOCK,)),))])
    assert sorted(files) == [f"downloads/toy-results.{kind}" for kind in ("csv", "parquet", "tex")]
    parquet = pd.read_parquet(io.BytesIO(files["downloads/toy-results.parquet"]))
    pd.testing.assert_frame_equal(parquet, block_frame(BLOCK))
    csv = pd.read_csv(io.BytesIO(files["downloads/toy-results.csv"]), keep_default_na=False)
    assert csv["R@1"].tolist() == ["48.66666", ""]
    assert r"\caption{A \& B.}" in files["downloads/toy-results.tex"].decode()


def test_the_tables_lie_beside_the_page_and_damaged_text_does_not(whole_world: World, tmp_path: Path) -> None:
    world = world_copied(whole_world, tmp_path / "world")
    before = {path.name: path.read_bytes() for path in (world.report / "downloads").iterdir()}
    made = [path for path in world.tables.iterdir() if path.suffix in (".parquet", ".csv", ".tex")]
    assert {"runs.csv", "summary.csv", "summary.tex", "differences.csv", "claims.csv"} <= {path.name for path in made}
    for path in made:
        assert before[path.name] == path.read_bytes()
        if path.suffix != ".parquet":
            path.write_bytes(b"7" + path.read_bytes())
    world.make_report()
    assert {path.name: path.read_bytes() for path in (world.report / "downloads").iterdir()} == before


def test_files_of_an_older_report_go(tmp_path: Path) -> None:
    out = tmp_path / "report"
    for folder in (out / "downloads", out / "figures"):
        folder.mkdir(parents=True)
    for name in ("downloads/old.csv", "downloads/runs.csv", "figures/old.svg", "downloads/mine.txt"):
        (out / name).write_text("")
    sweep(out, {"downloads/runs.csv": b""})
    left = sorted(str(path.relative_to(out)) for path in out.rglob("*") if path.is_file())
    assert left == ["downloads/mine.txt", "downloads/runs.csv"]
