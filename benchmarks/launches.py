"""What a training step of each method asks of a GPU, counted without one: prints a Markdown table.

    python benchmarks/launches.py                       # half a minute
    python benchmarks/launches.py --methods lgsf --lines 20

The step is the trainer's own at the size of config/coco.yaml, on tensors that have shapes and no values
(tests/support/launches.py says what counts). Milliseconds cannot be seen in this way, only what costs them: a launch
takes the host 5 to 10 microseconds, and an H100 moves 3,350 GB a second.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
METHODS = ("vsepp", "base", "lgsf", "vse_inf", "scan_t2i", "scan_i2t", "sgr", "saf", "vsrn", "hrem")


def main() -> None:
    """Count every method and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--methods", nargs="+", default=list(METHODS))
    parser.add_argument("--lines", type=int, default=0, help="also the lines that launch most")
    arguments = parser.parse_args()
    sys.path.insert(0, str(ROOT))
    from tests.support.coco_step import coco_step, settings_of

    print(
        "| method | batch | encoders and loss | gradient | launches | clipping, optimizer | uploads | waits | GB moved |"
    )
    print("|---|---:|---:|---:|---:|---:|---:|---:|---:|", flush=True)
    for name in arguments.methods:
        step = coco_step(name)  # a wait would raise
        cells = (
            name, settings_of(name).training.batch_size, step.forward, step.backward, f"{step.launches:,}", step.update,
            step.counted.uploads.total(), 0, f"{step.counted.bytes / 1e9:.1f}",
        )  # fmt: skip
        print(f"| {' | '.join(map(str, cells))} |", flush=True)
        for line, launches in step.counted.lines.most_common(arguments.lines):
            print(f"<!-- {launches:4d} {line} -->")


if __name__ == "__main__":
    main()
