"""Whatever file a verb opens is damaged: one sentence, or the result that the whole file gives; never a traceback.

Which files these are is asked of the interpreter, so none is forgotten. What a user brings - packs, scores, photos,
checkpoints - carries no seal of ours: another file is other data, and only its reading may not fail without a sentence.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.support.other_verbs import archive, import_others, write_other_sources
from tests.support.server import serving
from tests.support.verbs import contents, copy_into, import_all, in_a_process
from tests.support.whole_chain import ONCE, Whole, build

pytestmark = pytest.mark.slow

INSPECTION = "inspected/inspection.md"
BROUGHT = ("pack", "own", "models", "released", "m", "one.json", "graph.json", "scores.npy", "fetch.json")


def note_what_is_opened(root: Path, list_: Path) -> Callable[[], None]:
    """To be called in a verb's own process: it then writes the name of every file below `root` that it opens to read."""

    def before() -> None:
        found = os.open(list_, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

        def hook(event: str, arguments: tuple[object, ...]) -> None:
            if event == "open" and isinstance(arguments[0], str | bytes | os.PathLike):
                path, flags = Path(os.fsdecode(arguments[0])).absolute(), arguments[2]
                reads = isinstance(flags, int) and flags & os.O_ACCMODE != os.O_WRONLY
                if reads and path.is_relative_to(root):
                    os.write(found, f"{path}\n".encode())

        sys.addaudithook(hook)

    return before


def opened(whole: Whole, verb: str, list_: Path) -> list[Path]:
    """Files below the root, relative to it, that the verb reads and that were there before."""
    list_.unlink(missing_ok=True)
    copy_into(whole.before[verb], whole.work)
    assert in_a_process(whole.commands[verb], before=note_what_is_opened(whole.work, list_)).status == 0
    names = {Path(line).relative_to(whole.work) for line in list_.read_text().splitlines()} if list_.exists() else set()
    return sorted(name for name in names if (whole.before[verb] / name).is_file() and not name.name.endswith(".lock"))


def damages(good: bytes, name: Path, rng: np.random.Generator) -> Iterator[tuple[str, bytes]]:
    """(what was done, the damaged content)."""
    yield "emptied", b""
    yield "cut", good[: int(rng.integers(1, max(2, len(good))))]
    for _ in range(2):
        bit = int(rng.integers(8 * len(good)))
        yield f"bit {bit}", good[: bit // 8] + bytes([good[bit // 8] ^ 1 << bit % 8]) + good[bit // 8 + 1 :]
    if name.suffix == ".json":
        yield "the JSON []", b"[]"


def check(whole: Whole, verb: str, name: Path, content: bytes) -> str:
    """What a verb makes of a damaged file: "sentence", "same", or "other" for what a user brings."""
    copy_into(whole.before[verb], whole.work)
    command = whole.commands[verb]  # which holds what the files said
    (whole.work / name).write_bytes(content)
    outcome = in_a_process(command)
    assert "Traceback" not in outcome.said and "please report" not in outcome.said, outcome
    assert outcome.status in (0, 2), outcome
    if outcome.status == 2:
        errors = [line for line in outcome.said.splitlines() if line.startswith("lgsf: error:")]
        assert len(errors) == 1 and errors[0].endswith("."), outcome
        return "sentence"
    found, expected = contents(whole.work), dict(whole.after[verb])
    different = {key for key in {**found, **expected} if found.get(key) != expected.get(key)} - {str(name)}
    if different and name.parts[0] in BROUGHT:
        return "other"
    if different and verb == "inspect":  # which is there to say what is wrong, and goes on
        errors = [line for line in (whole.work / INSPECTION).read_text().splitlines() if line.startswith("- error: ")]
        assert any(f"error: {whole.work / name} " in line and line.endswith(".") for line in errors), errors
        return "sentence"
    assert not different, sorted(different)
    return "same"


def test_every_file_that_a_verb_opens(tmp_path_factory: pytest.TempPathFactory) -> None:
    import_all()
    import_others()
    root, work = tmp_path_factory.mktemp("before"), tmp_path_factory.mktemp("work")
    rng, counts, failed = np.random.default_rng(0), dict[tuple[str, str], int](), list[str]()
    with serving(archive()) as server:
        write_other_sources(work, server.url)
        whole = build(root, work, own_disk=False, last="")
        for verb in whole.before:
            for name in opened(whole, verb, root / "opened"):
                good = (whole.before[verb] / name).read_bytes()
                for what, content in damages(good, name, rng) if good else ():
                    try:
                        came = check(whole, verb, name, content)
                    except AssertionError as error:  # the other files are looked at all the same
                        came = "failed"
                        failed.append(f"{verb}, {name}, {what}: {error}")
                    counts[verb, came] = counts.get((verb, came), 0) + 1
                    print(f"{verb}, {name}, {what}: {came}", flush=True)
    for (verb, came), count in counts.items():
        print(f"{verb}: {count} {came}")
    assert not failed, "\n".join(failed)
    assert sum(counts.values()) > 500 and set(whole.before) >= {*ONCE, "train", "verify", "fetch"}
