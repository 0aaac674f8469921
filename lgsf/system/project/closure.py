"""Which files of the repository a module runs on: its import closure, read without importing anything.

The workflow declares these files as inputs, so that editing a model retrains what uses it and nothing
else. Standard library alone: the dry run must not wait for torch.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType

from lgsf.system.errors import LgsfError

ROOT = Path(__file__).resolve().parents[3]  # the folder of our packages: a checkout, or site-packages


Folders = Mapping[str, Path]
NOWHERE: Folders = MappingProxyType({})


def sources(*modules: str, root: Path, elsewhere: Folders = NOWHERE) -> list[Path]:
    """Files under `root` that importing `modules` can reach, sorted: those of `Closures` for one question."""
    return Closures(root, elsewhere).sources(*modules)


class Closures:
    """Import closures of modules, for many questions about files that stay as they are meanwhile: each is read once."""

    def __init__(self, root: Path, elsewhere: Folders = NOWHERE) -> None:
        """
        root       folder of the packages
        elsewhere  package -> the folder that it lies in instead
        """
        self.root, self.elsewhere = root, elsewhere
        self._known: dict[str, tuple[Path | None, list[str]]] = {}

    def sources(self, *modules: str) -> list[Path]:
        """Files under these folders that importing `modules` can reach, sorted.

        Followed are imports anywhere in a file, also inside functions, and the `__init__.py` of every parent
        package. Not followed are imports for the type checker alone, and a package's module-level
        `__getattr__`, which serves users of the library and no code inside it. Modules that are in
        none of these folders (torch, numpy, an installed method) contribute nothing.

        Raises LgsfError for one of `modules` that belongs there and is absent, or is a package that holds
        nothing but its docstring: no edit would ever repeat what hangs on it.
        """
        for module in modules:
            require(module, root=self.root, elsewhere=self.elsewhere)
        found: set[Path] = set()
        waiting = [name for module in modules for name in _with_parents(module)]
        seen = set(waiting)
        while waiting:
            file, imported = self._look(waiting.pop())
            if file is not None:
                found.add(file)
                waiting.extend(name for name in imported if name not in seen)
                seen.update(imported)
        return sorted(found)

    def _look(self, module: str) -> tuple[Path | None, list[str]]:
        """The file of a module, None outside these folders, and all modules that it imports, with their parents."""
        if module not in self._known:
            file = module_file(module, _folder(module, self.root, self.elsewhere))
            imported: dict[str, None] = {}
            if file is not None:
                for name in _read(file, _package(module, file))[0]:
                    imported.update(dict.fromkeys(_with_parents(name)))
            self._known[module] = file, list(imported)
        return self._known[module]


def require(module: str, *, root: Path, elsewhere: Folders = NOWHERE) -> Path | None:
    """The file of a module, or None for one that is installed elsewhere.

    Raises LgsfError for a module that belongs under these folders and is absent or holds no code.
    """
    root = _folder(module, root, elsewhere)
    if module_file(module.split(".")[0], root) is None and not (root / module.split(".")[0]).is_dir():
        return None
    file = module_file(module, root)
    if file is None:
        raise LgsfError(f"module {module!r} does not exist under {root}; check its spelling.")
    if not _read(file, _package(module, file))[1]:
        raise LgsfError(f"{file} holds no code: name a module of this package instead of {module!r}.")
    return file


def _folder(module: str, root: Path, elsewhere: Folders) -> Path:
    return elsewhere.get(module.split(".")[0], root)


def _package(module: str, file: Path) -> str:
    """The package whose relative imports `file` of `module` means."""
    return module if file.name == "__init__.py" else module.rpartition(".")[0]


def _with_parents(module: str) -> list[str]:
    """'a.b.c' -> ['a', 'a.b', 'a.b.c']: importing a module runs its packages first."""
    parts = module.split(".")
    return [".".join(parts[: end + 1]) for end in range(len(parts))]


def module_file(module: str, root: Path) -> Path | None:
    """The file of a module, or None for what is not under `root` (or has no code, as a bare folder)."""
    place = root.joinpath(*module.split("."))
    for file in (place / "__init__.py", place.with_name(place.name + ".py")):
        if file.is_file():
            return file
    return None


def parse_source(file: Path) -> ast.Module:
    """A file's syntax tree; LgsfError with the line where it is no Python."""
    try:
        return ast.parse(file.read_bytes(), filename=str(file))
    except SyntaxError as error:
        raise LgsfError(f"{file}, line {error.lineno or 1}: {error.msg}; mend the code there.") from None
    except (ValueError, RecursionError, MemoryError) as error:  # null bytes; nesting that no person writes
        raise LgsfError(f"{file} is no Python ({error}); mend or remove it.") from None


def _read(file: Path, package: str) -> tuple[tuple[str, ...], bool]:
    """Names that a file of `package` may import, and whether it holds code; a file that stays as it is is read once."""
    found = file.stat()
    return _remembered(file, found.st_mtime_ns, found.st_size, package)


@cache
def _remembered(file: Path, modified_ns: int, size: int, package: str) -> tuple[tuple[str, ...], bool]:
    tree = parse_source(file)
    holds_code = not all(isinstance(node, ast.Expr) for node in tree.body)
    return tuple(dict.fromkeys(_imports(tree, package))), holds_code


# What holds statements, and where; nothing is imported in an expression.
_KINDS: tuple[type[ast.AST], ...] = (
    *ast.stmt.__subclasses__(), *ast.mod.__subclasses__(), ast.ExceptHandler, ast.match_case
)  # fmt: skip
_BLOCKS = {
    kind: tuple(field for field in ("body", "orelse", "handlers", "finalbody", "cases") if field in kind._fields)
    for kind in _KINDS
}


def _imports(tree: ast.Module, package: str) -> Iterator[str]:
    """Absolute names of all modules that a file may import; `from a import b` gives both a and a.b."""
    for node in _reachable(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*above, *([base] if base else [])])
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names if alias.name != "*")


def _reachable(node: ast.AST) -> Iterator[ast.AST]:
    """All statements but the bodies of `if TYPE_CHECKING:` and of a module-level `__getattr__`."""
    for block in _BLOCKS.get(type(node), ()):
        if block == "body" and isinstance(node, ast.If) and _is_type_checking(node.test):
            continue
        for child in getattr(node, block):
            if isinstance(node, ast.Module) and isinstance(child, ast.FunctionDef) and child.name == "__getattr__":
                continue
            yield child
            yield from _reachable(child)


def _is_type_checking(test: ast.expr) -> bool:
    return (isinstance(test, ast.Name) and test.id == "TYPE_CHECKING") or (
        isinstance(test, ast.Attribute) and test.attr == "TYPE_CHECKING"
    )
