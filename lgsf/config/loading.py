"""Configuration files, read so that they mean what they seem to say: one strict loader for YAML and JSON.

PyYAML, and with it Snakemake, keeps the last of two equal keys without a word, and speaks YAML 1.1, in which `no`
is false, `010` is eight, `1:30` is ninety and `1e-4` is text. Here such things are errors that name file and line,
as are anchors, merge keys, tags, keys that are no text, and files that are not UTF-8.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from lgsf.system.errors import LgsfError
from lgsf.system.names import shown
from lgsf.system.settings import deep_merge, plain_dicts

DEEPEST = 40  # levels of nesting; the configuration has eight
Place = tuple[str, ...]

_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]*)")
_NUMBER = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|0o[0-7]+|0x[0-9a-fA-F]+")  # of YAML 1.2
_TRUTH = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_TAG = "tag:yaml.org,2002:"
_OTHERWISE = {  # what YAML 1.1 makes of a plain word that looks like another thing
    "bool": "a truth value to some readers of YAML and text to others; write true or false, or put it in quotes",
    "int": "a whole number in a notation that readers of YAML take differently; write it in decimals, or in quotes",
    "float": "a number in a notation that readers of YAML take differently; write it in decimals, or in quotes",
    "timestamp": "a date to some readers of YAML and text to others; put it in quotes",
    "merge": "a merge key, which hides what is taken over; write the keys out, or use `extends`",
    "value": "a special word of YAML; put it in quotes",
}


@dataclass(frozen=True)
class Loaded:
    """What files said, laid over one another, and where: path of a key -> "file, line n"."""

    values: dict[str, Any]
    places: Mapping[Place, str] = field(default_factory=dict)

    def over(self, below: Loaded) -> Loaded:
        """These values on top of `below`: mappings merge, everything else replaces."""
        return Loaded(deep_merge(below.values, self.values), {**below.places, **self.places})


def load(files: Iterable[Path], arguments: Sequence[str] = ()) -> Loaded:
    """Files in order, each laid over those before it, and on top `key=value` as Snakemake's --config takes them."""
    loaded = Loaded({})
    for file in files:
        loaded = load_file(file).over(loaded)
    for argument in arguments:
        loaded = load_argument(argument).over(loaded)
    return loaded


def reread(
    config: Mapping[str, Any], files: Iterable[str | Path], last: Sequence[Path], arguments: Sequence[str]
) -> Loaded:
    """The configuration that Snakemake merged, read again from where it came from; as it is where that is another's.

    files      all that Snakemake read, its own defaults among them;  last  those of the command line, which come last
    arguments  of --config

    A workflow that takes this one as a module may hand over a part of its configuration, or one that it made itself:
    then no file can be held to the rules here.
    """
    order = [*(Path(file) for file in files if Path(file) not in last), *last]
    try:
        loaded = load(order, arguments)
        ours = set(loaded.values) == set(config)
    except LgsfError:
        if set(config) == _first_keys(order) | {argument.partition("=")[0] for argument in arguments}:
            raise
        ours = False
    return loaded if ours else Loaded(plain_dicts(config))


def _first_keys(files: Iterable[Path]) -> set[Any]:
    """The keys on the first level of files that may be another's, as Snakemake reads them."""
    found = (yaml.safe_load(file.read_bytes()) for file in files)
    return {key for one in found if isinstance(one, dict) for key in one}


def load_file(path: Path) -> Loaded:
    """One configuration file. Raises LgsfError, with the line where there is one, for anything that is ambiguous."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        raise LgsfError(f"{path} is missing: name a configuration file.") from None
    except IsADirectoryError:
        raise LgsfError(f"{path} is a folder: name a configuration file in it.") from None
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise LgsfError(
            f"{path}, line {line}: byte {error.object[error.start]:#04x} is not UTF-8; save the file as UTF-8."
        ) from None
    loaded = parse(text, source=str(path))
    if not isinstance(loaded.values, dict):
        raise LgsfError(f"{path}: keys and values are needed, not {shown(loaded.values)}.")
    return loaded


def load_argument(argument: str) -> Loaded:
    """One `key=value`; the value is read as in a file, so that numbers inside lists and mappings are numbers."""
    key, equals, text = argument.partition("=")
    if not equals or not key:
        raise LgsfError(f"--config {argument!r}: give key=value.")
    loaded = parse(text or "null", source=f"--config {key}")
    places = {(key, *place): where for place, where in loaded.places.items()}
    return Loaded({key: loaded.values}, {(key,): f"--config {key}", **places})


def parse(text: str, *, source: str) -> Loaded:
    """The value that `text` holds, of any type, and the places of its keys."""
    try:
        return Loaded(parse_json(text, source=source))
    except LgsfError:
        raise
    except ValueError:  # not JSON, as most configuration files
        pass
    try:
        return _Reader(source).read(text)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = "" if mark is None else f", line {mark.line + 1}"
        raise LgsfError(f"{source}{line}: {error.problem or error.context}; mend the YAML there.") from None
    except yaml.reader.ReaderError as error:
        number = text.count("\n", 0, int(error.position)) + 1
        raise LgsfError(
            f"{source}, line {number}: an unprintable character ({error.character!r}); remove it."
        ) from None


def parse_json(text: str, *, source: str) -> Any:
    """JSON without equal keys, infinities or NaN. LgsfError for these, ValueError for what is no JSON at all."""

    def pairs(found: list[tuple[str, Any]]) -> dict[str, Any]:
        values = dict(found)
        if len(values) < len(found):
            keys = [key for key, _ in found]
            twice = next(key for key in keys if keys.count(key) > 1)
            raise LgsfError(f"{source}: the key {shown(twice)} stands there twice; remove one of them.")
        return values

    def constant(word: str) -> Any:
        raise LgsfError(f"{source}: {word} is no number to compute with; give a finite one.")

    try:
        return json.loads(text, object_pairs_hook=pairs, parse_constant=constant)
    except RecursionError:
        raise LgsfError(f"{source} is nested more than {DEEPEST} levels deep; no setting is.") from None


def read_json_argument(text: str, name: str) -> Any:
    """The value of the command line's option `name`."""
    try:
        return parse_json(text, source=name)
    except ValueError as error:
        raise LgsfError(f"{name} is not valid JSON ({error}); quote it as one argument.") from None


class _Reader:
    """From YAML's events to values: no composer between them that would merge, resolve or forget."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.places: dict[Place, str] = {}
        self._resolver = yaml.resolver.Resolver()

    def read(self, text: str) -> Loaded:
        events = yaml.parse(text, Loader=yaml.SafeLoader)
        value: Any = {}  # of an empty file
        documents = 0
        for event in events:
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    raise self._error(event, "a second document begins; keep one in the file")
                value = self._node(next(events), events, ())
        if value is None and not self.places:
            value = {}  # nothing but comments
        return Loaded(value, self.places)

    def _node(self, event: yaml.Event, events: Iterator[yaml.Event], place: Place) -> Any:
        if len(place) > DEEPEST:
            raise self._error(event, f"nested more than {DEEPEST} levels deep; no setting is")
        if not isinstance(event, yaml.NodeEvent) or event.anchor is not None:  # an alias has an anchor as well
            raise self._error(event, "anchors and aliases hide what is set; write the value out, or use `extends`")
        if place:
            self.places[place] = self._line(event)
        if isinstance(event, yaml.ScalarEvent):
            return self._scalar(event, place)
        assert isinstance(event, yaml.CollectionStartEvent)
        if event.tag is not None and event.tag not in (f"{_TAG}map", f"{_TAG}seq"):
            raise self._error(event, f"the tag {shown(event.tag)} is not read here; remove it")
        if isinstance(event, yaml.SequenceStartEvent):
            items: list[Any] = []
            while not isinstance(item := next(events), yaml.SequenceEndEvent):
                items.append(self._node(item, events, (*place, str(len(items)))))
            return items
        return self._mapping(events, place)

    def _mapping(self, events: Iterator[yaml.Event], place: Place) -> dict[str, Any]:
        values: dict[str, Any] = {}
        lines: dict[str, str] = {}
        while not isinstance(event := next(events), yaml.MappingEndEvent):
            if not isinstance(event, yaml.ScalarEvent):
                raise self._error(event, "a key must be a word")
            if event.anchor is not None:
                raise self._error(event, "anchors and aliases hide what is set; write the key out")
            key = self._scalar(event, place)
            if not isinstance(key, str):
                raise self._error(event, f"the key {shown(event.value)} is no text; put it in quotes")
            if key in values:
                first = lines[key].rpartition(" ")[2]
                where = ".".join((*place, key))
                raise self._error(event, f"the key {shown(where)} stands in line {first} already; remove one of them")
            lines[key] = self._line(event)
            values[key] = self._node(next(events), events, (*place, key))
            self.places[*place, key] = lines[key]
        return values

    def _scalar(self, event: yaml.ScalarEvent, place: Place) -> Any:
        """The value of a word, where all readers of YAML agree on it."""
        text: str = event.value
        if event.tag is not None and event.tag != f"{_TAG}str":
            raise self._error(event, f"the tag {shown(event.tag)} is not read here; remove it")
        if event.tag is not None or not event.implicit[0]:  # in quotes, or said to be text
            return text
        tag = self._resolver.resolve(yaml.ScalarNode, text, (True, False))  # type: ignore[no-untyped-call]
        kind = str(tag).removeprefix(_TAG)
        if kind == "null":
            return None
        if kind == "bool" and text in _TRUTH:
            return _TRUTH[text]
        if kind == "int" and _INTEGER.fullmatch(text):
            return self._integer(event)
        if kind == "float" and _NUMBER.fullmatch(text) and math.isfinite(float(text)):
            return float(text)
        if kind == "float" and (_NUMBER.fullmatch(text) or text.lower().lstrip("+-") in (".inf", ".nan")):
            raise self._error(event, f"{text} is no number to compute with; give a finite one")
        if kind == "str" and _NUMBER.fullmatch(text):
            hint = f" (for the number write {_decimal(text)})"
            kind, text = "float", text + hint
        if kind in _OTHERWISE:
            at = f"{'.'.join(place)}: " if place else ""
            raise self._error(event, f"{at}{text} is {_OTHERWISE[kind]}")
        return text

    def _integer(self, event: yaml.ScalarEvent) -> int:
        if len(event.value) > 30:
            raise self._error(event, f"{shown(event.value, 20)} is larger than any setting")
        return int(event.value)

    def _line(self, event: yaml.Event) -> str:
        assert event.start_mark is not None
        return f"{self.source}, line {event.start_mark.line + 1}"

    def _error(self, event: yaml.Event, what: str) -> LgsfError:
        return LgsfError(f"{self._line(event)}: {what}.")


def _decimal(text: str) -> str:
    """The number of YAML 1.2 in a form that YAML 1.1 knows too."""
    if text[:2] in ("0o", "0x"):
        return str(int(text, 0))
    mantissa, _, exponent = text.lower().partition("e")
    mantissa += "" if "." in mantissa else ".0"
    return f"{mantissa}e{exponent if exponent[0] in '+-' else '+' + exponent}" if exponent else mantissa
