"""A stand-in for the client of the Hugging Face hub: repositories are folders, and no network is asked."""

from __future__ import annotations

import shutil
from fnmatch import fnmatch
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import huggingface_hub
import pytest


class LocalHub:
    """Holds repositories under `root`, one folder for each revision, as the three calls see it that the project makes."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.private: dict[str, bool] = {}
        self.messages: list[str] = []
        self.refuses: Exception | None = None

    def put_in_place(self, monkeypatch: pytest.MonkeyPatch) -> LocalHub:
        monkeypatch.setattr(huggingface_hub, "HfApi", lambda: self)
        monkeypatch.setattr(huggingface_hub, "snapshot_download", self.snapshot_download)
        return self

    def folder(self, repo: str, revision: str | None = None) -> Path:
        return self.root / repo / (revision or "main")

    def create_repo(self, repo: str, *, private: bool, exist_ok: bool) -> None:
        assert exist_ok
        if self.refuses is not None:
            raise self.refuses
        self.private.setdefault(repo, private)
        self.folder(repo).mkdir(parents=True, exist_ok=True)

    def list_repo_files(self, repo: str) -> list[str]:
        folder = self.folder(repo)
        return [path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()]

    def create_commit(self, repo: str, operations: list[Any], *, commit_message: str) -> Any:
        """All operations or none: the next revision is put together beside, as the hub does it."""
        before, after = self.folder(repo), self.folder(repo, "next")
        shutil.copytree(before, after)
        for operation in operations:
            target = after / operation.path_in_repo
            if isinstance(operation, huggingface_hub.CommitOperationDelete):
                target.unlink()
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            with operation.as_file() as file:
                target.write_bytes(file.read())
        self.messages.append(commit_message)
        before.rename(self.folder(repo, f"v{len(self.messages) - 1}"))
        after.rename(before)
        return SimpleNamespace(commit_url=f"local://{repo}/commit/{len(self.messages)}")

    def snapshot_download(self, repo: str, *, revision: str | None, allow_patterns: list[str]) -> str:
        source, copy = self.folder(repo, revision), self.root / "store" / repo / (revision or "main")
        if not source.is_dir():
            raise FileNotFoundError(f"404: no repository\n{repo}")
        shutil.rmtree(copy, ignore_errors=True)
        copy.mkdir(parents=True)
        for path in source.rglob("*"):
            name = path.relative_to(source).as_posix()
            if path.is_file() and any(fnmatch(name, pattern) for pattern in allow_patterns):
                (copy / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(path, copy / name)
        return str(copy)
