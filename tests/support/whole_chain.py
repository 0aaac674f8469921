"""The verbs of tests/support/verbs.py and tests/support/other_verbs.py run one after the other, undisturbed."""

from __future__ import annotations

import shutil
import time
from dataclasses import dataclass
from pathlib import Path

from tests.support.other_verbs import other_chain
from tests.support.verbs import chain, contents, in_a_process, write_sources

PAGE = 4096  # bytes: what the smallest file takes of a disk
ONCE = ("convert", "convert back")  # they write new folders alone: a finished one is not made again


@dataclass(frozen=True)
class Whole:
    """A chain that nobody disturbed: the folder before each verb, and what was in it after."""

    work: Path
    before: dict[str, Path]
    after: dict[str, dict[str, str]]
    seconds: dict[str, float]
    largest: dict[str, int]  # bytes of the largest file that the verb wrote
    written: dict[str, int]  # bytes that it took of a disk
    own_disk: bool

    @property
    def commands(self) -> dict[str, list[str]]:
        """Verb -> its command line; those with sources of their own where these are."""
        return chain(self.work) | (other_chain(self.work) if (self.work / "fetch.json").is_file() else {})


def build(root: Path, work: Path, own_disk: bool, last: str) -> Whole:
    write_sources(work)
    whole = Whole(work, {}, {}, {}, {}, {}, own_disk)
    for number, (verb, arguments) in enumerate(whole.commands.items()):
        whole.before[verb] = Path(shutil.copytree(work, root / f"before{number}"))
        start = time.monotonic()
        outcome = in_a_process(arguments)
        whole.seconds[verb] = time.monotonic() - start
        assert outcome.status == 0, (verb, outcome.said)
        whole.after[verb] = contents(work)
        before = contents(whole.before[verb])
        new = [(work / name).stat().st_size for name, said in whole.after[verb].items() if before.get(name) != said]
        whole.largest[verb] = max(new, default=0)
        whole.written[verb] = sum(-(-size // PAGE) * PAGE for size in new)
        if verb == last:
            break
    return whole
