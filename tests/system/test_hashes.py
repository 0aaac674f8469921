"""A digest of samples sees what a dry run must see, whatever the times of the files are."""

from __future__ import annotations

import os
from pathlib import Path

from lgsf.system.hashes import sampled
from tests.support.world import flip


def test_samples_see_ends_sizes_names_and_most_of_the_rest(tmp_path: Path) -> None:
    large, small, gone = tmp_path / "a_ims.npy", tmp_path / "a_caps.txt", tmp_path / "gone"
    large.write_bytes(os.urandom(3_000_000))
    small.write_bytes(b"a dog\n")
    pack = [large, small, gone]
    before = sampled(pack)
    for path in (large, small):  # other times are no change
        os.utime(path, (1, 1))
    assert sampled(pack) == before
    for path, bit in ((large, 0), (large, 8 * 3_000_000 - 1), (small, 9)):
        flip(path, bit)
        assert sampled(pack) != before
        flip(path, bit)
    assert sampled(pack) == before
    content = large.read_bytes()
    large.write_bytes(os.urandom(3_000_000))  # as `tar x` of another pack of the same shape
    assert sampled(pack) != before
    large.write_bytes(content[:-1])
    assert sampled(pack) != before
    large.write_bytes(content)
    gone.write_bytes(b"")
    assert sampled(pack) != before
    gone.unlink()
    assert sampled([large.rename(tmp_path / "b_ims.npy"), small, gone]) != before
