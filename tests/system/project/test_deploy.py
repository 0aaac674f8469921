"""A deployed folder has all that a user edits, and nothing of a user's is written over."""

from __future__ import annotations

from pathlib import Path

import pytest

from lgsf.system.errors import LgsfError
from lgsf.system.project.deploy import deploy


def test_a_deployed_folder_has_all_that_a_user_edits(tmp_path: Path, repository: Path) -> None:
    written = {str(path.relative_to(tmp_path / "new")) for path in deploy(tmp_path / "new")}
    assert {"Snakefile", "config/config.yaml", "config/smoke.yaml", "profiles/default/profile.yaml"} <= written
    assert f'"{repository}/workflow/Snakefile"' in (tmp_path / "new/Snakefile").read_text()
    schema = (tmp_path / "new/config/config.yaml").read_text().splitlines()[0].partition("$schema=")[2]
    assert Path(schema).is_file()


def test_deploying_writes_over_nothing(tmp_path: Path) -> None:
    (tmp_path / "config").mkdir()
    (tmp_path / "config/smoke.yaml").write_text("mine")
    with pytest.raises(LgsfError, match=r"config/smoke\.yaml is there already: name a new folder\."):
        deploy(tmp_path)
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["smoke.yaml"]


def test_an_interrupted_deployment_is_gone_on_from(tmp_path: Path) -> None:
    whole = {path: path.read_bytes() for path in deploy(tmp_path / "new")}
    for path in list(whole)[::2]:  # a kill leaves some files, each of them whole
        path.unlink()
    deploy(tmp_path / "new")
    assert {path: path.read_bytes() for path in whole} == whole
    (tmp_path / "new/config/smoke.yaml").write_text("mine")
    with pytest.raises(LgsfError, match=r"config/smoke\.yaml is there already"):
        deploy(tmp_path / "new")
