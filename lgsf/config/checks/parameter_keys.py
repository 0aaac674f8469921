"""Which keys a method's parameters have, and their defaults, read from its class's text without running it.

The classes of methods import torch, for which the plan of a workflow must not wait. A class that is built in a way
that cannot be read here, or that lies outside the repository, is left to `lgsf configure`, which imports it.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from lgsf.system.project.closure import module_file, parse_source
from lgsf.system.project.places import PACKAGES

EMPTY: Mapping[str, Any] = {"dict": {}, "list": [], "tuple": []}  # as JSON has it
UNREADABLE: Any = object()  # a default that is computed


@dataclass(frozen=True)
class Key:
    """One key: its default (`UNREADABLE` where it is none or computed), or the keys below it."""

    default: Any = UNREADABLE
    below: Mapping[str, Key] | None = None


Keys = Mapping[str, Key]


def known_keys(model: str, *, root: Path | None = None) -> Keys | None:
    """The keys that `parameters` of the class `package.module:Class` may have; None where they cannot be read.

    root  folder of a user's own modules: the working directory, if it is not given

    Raises LgsfError for a file that is no Python.
    """
    root = root or Path.cwd()
    module, _, name = model.partition(":")
    method = _find(module, name, root)
    for _ in range(10):  # the class itself, then what it derives from
        if method is None:
            return None
        for target, value in _assigned(method.node):
            if target == "Parameters":
                return _keys_of(method.resolve(value, root), root)
        method = method.resolve(method.node.bases[0], root) if method.node.bases else None
    return None


def unknown_key(parameters: Mapping[str, Any], keys: Keys) -> tuple[tuple[str, ...], list[str]] | None:
    """The path of the first key that the class does not have, and the keys that it has at that place."""
    for name, value in parameters.items():
        if name not in keys:
            return (name,), sorted(keys)
        below = keys[name].below
        if below is not None and isinstance(value, Mapping) and (found := unknown_key(value, below)) is not None:
            return (name, *found[0]), found[1]
    return None


def filled(parameters: Mapping[str, Any], keys: Keys) -> dict[str, Any]:
    """The parameters with the defaults that could be read; what has an unreadable one is absent."""
    out: dict[str, Any] = dict(parameters)
    for name, key in keys.items():
        given = parameters.get(name)
        if key.below is not None and (name not in parameters or isinstance(given, Mapping)):
            out[name] = filled(given or {}, key.below)
        elif name not in parameters and key.default is not UNREADABLE:
            out[name] = key.default
    return out


@dataclass(frozen=True)
class _Class:
    """A class in the text of its module."""

    module: str
    tree: ast.Module
    node: ast.ClassDef

    def resolve(self, expression: ast.expr | None, root: Path) -> _Class | None:
        """The class that a plain name in this module means; None for anything else."""
        return _find(self.module, expression.id, root) if isinstance(expression, ast.Name) else None


@lru_cache(maxsize=256)
def _tree(file: Path, _changed: int) -> ast.Module:
    return parse_source(file)


def _find(module: str, name: str, root: Path, depth: int = 0) -> _Class | None:
    """The class `name` of a module, followed over `from x import name`."""
    file = module_file(module, PACKAGES.get(module.split(".")[0], root))
    if file is None or depth > 10:
        return None
    tree = _tree(file, file.stat().st_mtime_ns)
    found: _Class | None = None
    for node in tree.body:  # the last definition counts
        if isinstance(node, ast.ClassDef) and node.name == name:
            found = _Class(module, tree, node)
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            for alias in node.names:
                if (alias.asname or alias.name) == name:
                    found = _find(node.module, alias.name, root, depth + 1)
    return found


def _assigned(node: ast.ClassDef) -> Iterator[tuple[str, ast.expr | None]]:
    for item in node.body:
        if isinstance(item, ast.Assign):
            yield from ((target.id, item.value) for target in item.targets if isinstance(target, ast.Name))
        elif isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name):
            yield item.target.id, item.value


def _keys_of(found: _Class | None, root: Path) -> Keys | None:
    """The keys of a class of parameters with those that it inherits; None where they cannot be read."""
    if found is None or found.node.keywords:
        return None
    if (found.module, found.node.name) == ("lgsf.models.base", "Parameters"):
        return {}
    keys: dict[str, Key] = {}
    if not found.node.bases:
        return None
    for base in reversed(found.node.bases):
        inherited = _keys_of(found.resolve(base, root), root)
        if inherited is None:
            return None
        keys |= inherited
    for item in found.node.body:
        if isinstance(item, ast.Assign):  # such as a model_config of its own
            return None
        if isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name):
            key = _key(found, item, root)
            if key is None:
                return None
            if not ast.unparse(item.annotation).startswith("ClassVar"):
                keys[item.target.id] = key
    return keys


def _key(found: _Class, item: ast.AnnAssign, root: Path) -> Key | None:
    """One annotated field; None where it goes by another name."""
    value = item.value
    if isinstance(value, ast.Call) and isinstance(value.func, ast.Name) and value.func.id == "Field":
        named = {keyword.arg: keyword.value for keyword in value.keywords}
        if set(named) & {"alias", "validation_alias", None}:
            return None
        factory = named.get("default_factory")
        if isinstance(factory, ast.Name) and factory.id in EMPTY:
            return Key(default=EMPTY[factory.id])
        value = value.args[0] if value.args else named.get("default")
    nested = found.resolve(item.annotation, root)
    if nested is not None:
        # Keys below are known even where a default of their own cannot be read.
        below = _keys_of(nested, root)
        plain = isinstance(value, ast.Call) and not value.args and not value.keywords
        return Key(below=below if below is None or plain else _without_defaults(below))
    try:
        return Key(default=UNREADABLE if value is None else ast.literal_eval(value))
    except ValueError:
        return Key()


def _without_defaults(keys: Keys) -> Keys:
    return {name: Key(below=key.below and _without_defaults(key.below)) for name, key in keys.items()}
