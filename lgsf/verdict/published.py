"""Published numbers: read the hand-kept tables of config/, and refuse rows that contradict themselves.

Tables are copied from tables, and errors travel: an rSum of another dataset, a single model printed as an
ensemble, a row pasted twice. Each row is therefore summed again and compared with the others; a mistake is
an error that names file and line.

published.csv          one row per published result, with its inputs and its sources
published_sources.csv  what the source codes stand for
published_spread.csv   how far runs of one method lie apart (Rao et al., SIGIR 2022: ten seeds each)
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lgsf.metrics.names import KEY_METRICS, RECALLS
from lgsf.system.errors import LgsfError
from lgsf.system.given import read_text

FIVE_FOLDS, FIRST_FOLD = "coco1k_5fold", "coco1k_first"
PROTOCOLS = {
    FIVE_FOLDS: "MS-COCO, mean of five folds of 1,000 test images",
    FIRST_FOLD: "MS-COCO, the first 1,000 test images alone",
    "coco5k": "MS-COCO, all 5,000 test images as gallery",
    "f30k_1k": "Flickr30K, 1,000 test images",
}
COLUMNS = ("protocol", "key", "method", "text", "visual", "ensemble", *RECALLS, "rsum", "rsum_printed", "source")
SPREAD_COLUMNS = (
    *("key", "method", "dataset", "runs"),
    *KEY_METRICS,
    *(f"{metric}_sd" for metric in KEY_METRICS),
    "source",
)
SUM_TOLERANCE = 0.05  # our own sum of printed recalls, one decimal each
PRINTED_TOLERANCE = 0.25  # a paper sums before rounding: six recalls off by 0.05 at most, and its own rounding
COPIED = 4  # recalls that two rows share, and equal in all of them: no coincidence
ENSEMBLE = {"0": False, "1": True, "?": None}


@dataclass(frozen=True, kw_only=True)
class Published:
    """One published result.

    protocol  a key of PROTOCOLS
    key       our name of the method, "" where this project does not have it
    text      text encoder; visual: region or image features; "?" where the source does not say
    ensemble  an average of several trained models; None where the source does not say
    values    metric -> percent (rSum: sum of six); metrics that were not published are absent
    """

    line: int
    protocol: str
    key: str
    method: str
    text: str
    visual: str
    ensemble: bool | None
    values: Mapping[str, float]
    rsum_printed: float | None
    source: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Spread:
    """Runs of one method that differ by their seed alone: how many, and the SD per metric."""

    key: str
    method: str
    runs: int
    sd: Mapping[str, float]


def read_published(path: Path, sources: Path) -> list[Published]:
    """All rows of published.csv, checked; LgsfError names the file, the line and what contradicts what."""
    known = {fields["source"] for _, fields in _rows(sources, ("source", "kind", "where"))}
    rows: list[Published] = []
    for line, fields in _rows(path, COLUMNS):
        where = f"{path}, line {line}"
        row = _row(line, fields, where)
        for code in row.source:
            if code not in known:
                raise LgsfError(f"{where}: source {code!r} is not in {sources}; add it there or mend its spelling.")
        _check_row(row, fields, where)
        for earlier in rows:
            _check_pair(earlier, row, where)
        rows.append(row)
    return rows


def read_spread(path: Path) -> list[Spread]:
    """All rows of published_spread.csv; LgsfError as in read_published."""
    out: list[Spread] = []
    for line, fields in _rows(path, SPREAD_COLUMNS):
        where = f"{path}, line {line}"
        sd = {metric: _number(fields, f"{metric}_sd", where, upper=600) for metric in KEY_METRICS}
        if fields["key"] in {spread.key for spread in out}:
            raise LgsfError(f"{where}: key {fields['key']!r} is there twice; remove one.")
        runs = int(_number(fields, "runs", where, upper=1000))
        out.append(Spread(key=fields["key"], method=fields["method"], runs=runs, sd=sd))
    return out


def rows_for(rows: Sequence[Published], *, key: str, protocols: Sequence[str]) -> list[Published]:
    """The published results of one of our methods under any of `protocols`, in the order of the table."""
    return [row for row in rows if row.key == key and row.protocol in protocols]


def check_keys(keys: Mapping[str, str | None], path: Path, *, source: str = "the configuration") -> None:
    """LgsfError, beginning with `source`, where a method (a key of `keys`) names a published key that the table does not have."""
    known = {fields["key"] for _, fields in _rows(path, COLUMNS)} - {""}
    for method, key in keys.items():
        if key is not None and key not in known:
            raise LgsfError(
                f"{source}: published of {method!r} names {key!r}, which {path} does not have; known are "
                f"{', '.join(sorted(known))}."
            )


def _rows(path: Path, columns: Sequence[str]) -> Iterator[tuple[int, dict[str, str]]]:
    """(line number, fields) of a CSV file with exactly these columns."""
    text = read_text(path, remedy="take it from the repository again")
    reader = csv.reader(text.splitlines())
    header = next(reader, [])
    if tuple(header) != tuple(columns):
        raise LgsfError(f"{path}: the columns must be {', '.join(columns)}, not {', '.join(header)}.")
    for fields in reader:
        if not fields:
            continue
        if len(fields) != len(columns):
            raise LgsfError(
                f"{path}, line {reader.line_num}: {len(fields)} fields instead of {len(columns)}; mend its commas."
            )
        yield reader.line_num, {name: field.strip() for name, field in zip(columns, fields, strict=True)}


def _row(line: int, fields: Mapping[str, str], where: str) -> Published:
    if fields["protocol"] not in PROTOCOLS:
        raise LgsfError(f"{where}: protocol {fields['protocol']!r} is unknown; use one of {', '.join(PROTOCOLS)}.")
    if fields["ensemble"] not in ENSEMBLE:
        raise LgsfError(f"{where}: ensemble must be 0, 1 or ?, not {fields['ensemble']!r}.")
    for name in ("method", "text", "visual", "source"):
        if not fields[name]:
            raise LgsfError(f"{where}: {name} is empty; write ? where the source does not say it.")
    values = {name: _number(fields, name, where, upper=100) for name in RECALLS if fields[name]}
    if fields["rsum"]:
        values["rsum"] = _number(fields, "rsum", where, upper=600)
    printed = _number(fields, "rsum_printed", where, upper=600) if fields["rsum_printed"] else None
    return Published(
        line=line,
        protocol=fields["protocol"],
        key=fields["key"],
        method=fields["method"],
        text=fields["text"],
        visual=fields["visual"],
        ensemble=ENSEMBLE[fields["ensemble"]],
        values=values,
        rsum_printed=printed,
        source=tuple(fields["source"].split(";")),
    )


def _number(fields: Mapping[str, str], name: str, where: str, *, upper: float) -> float:
    try:
        value = float(fields[name])
    except ValueError:
        raise LgsfError(f"{where}: {name} must be a number, not {fields[name]!r}.") from None
    if not 0 <= value <= upper:  # false for NaN, too
        raise LgsfError(f"{where}: {name} is {fields[name]}, outside 0 to {upper:g}; look it up in its source.")
    return value


def _check_row(row: Published, fields: Mapping[str, str], where: str) -> None:
    """A row against itself: recalls that grow with K, the sum, the star of an ensemble."""
    for direction in ("i2t", "t2i"):
        recalls = [row.values[name] for name in RECALLS if name.startswith(direction) and name in row.values]
        if recalls != sorted(recalls):
            raise LgsfError(f"{where}: {direction} recalls {recalls} fall as K grows; look them up in their source.")
    complete = all(name in row.values for name in RECALLS)
    if complete != bool(fields["rsum"]) or (fields["rsum_printed"] and not complete):
        raise LgsfError(f"{where}: rsum must stand exactly where all six recalls do; complete the row or clear rsum.")
    if complete:
        total = sum(row.values[name] for name in RECALLS)
        for name, value, tolerance in (
            ("rsum", row.values["rsum"], SUM_TOLERANCE),
            ("rsum_printed", row.rsum_printed, PRINTED_TOLERANCE),
        ):
            if value is not None and abs(total - value) > tolerance + 1e-9:
                raise LgsfError(
                    f"{where}: {name} is {value:g}, but its six recalls sum to {total:.1f}; one of them is wrong."
                )
    if row.method.endswith("*") and row.ensemble is not True:
        raise LgsfError(f"{where}: {row.method!r} is written as an ensemble, but ensemble is {fields['ensemble']}.")


def _check_pair(earlier: Published, row: Published, where: str) -> None:
    """A row against an earlier one: the same result twice, copied numbers, a bigger gallery that is easier."""
    same_inputs = (earlier.method, earlier.text, earlier.visual, earlier.ensemble) == (
        *(row.method, row.text, row.visual),
        row.ensemble,
    )
    if same_inputs and earlier.protocol == row.protocol:
        raise LgsfError(f"{where}: the same result as line {earlier.line} ({row.method}, {row.text}); remove one.")
    shared = [name for name in RECALLS if name in row.values and name in earlier.values]
    if len(shared) >= COPIED and all(row.values[name] == earlier.values[name] for name in shared):
        raise LgsfError(
            f"{where}: the numbers of {row.method!r} ({row.protocol}) are those of {earlier.method!r} "
            f"({earlier.protocol}) in line {earlier.line}; one of them is a copy, so look both up in their sources."
        )
    if same_inputs and {earlier.protocol, row.protocol} == {"coco1k_5fold", "coco5k"}:
        small, large = (earlier, row) if row.protocol == "coco5k" else (row, earlier)
        for name in RECALLS:
            if name in small.values and name in large.values and large.values[name] > small.values[name]:
                raise LgsfError(
                    f"{where}: {row.method!r} has a higher {name} among 5,000 images ({large.values[name]:g}) than "
                    f"among 1,000 ({small.values[name]:g}, see line {earlier.line}); the protocols are mixed up."
                )
