"""Runs the cells of a notebook in order, without Jupyter: `python notebook.py FILE [--write]`, in the current folder.

The lock has no Jupyter kernel, and these notebooks need none: their cells are plain Python. As there, the last
expression of a cell is what it shows: a picture, a table, or its repr. Standard library alone, so that any Python with
the project installed can run it. With --write the file keeps what was shown.
"""

from __future__ import annotations

import ast
import base64
import json
import sys
from pathlib import Path
from typing import Any


def run(notebook: dict[str, Any], name: str) -> None:
    """Execute all code cells in one namespace and put what they show into their outputs."""
    names: dict[str, Any] = {"__name__": "__main__"}
    number = 0
    for cell in notebook["cells"]:
        if cell["cell_type"] != "code":
            continue
        number += 1
        tree = ast.parse("".join(cell["source"]), f"{name}, cell {number}")
        last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
        exec(compile(tree, f"{name}, cell {number}", "exec"), names)
        value = None
        if last is not None:
            value = eval(compile(ast.Expression(last.value), f"{name}, cell {number}", "eval"), names)
        cell["execution_count"] = number
        cell["outputs"] = [] if value is None else [shown(value, number)]


def shown(value: Any, number: int) -> dict[str, Any]:
    """The output of a cell as Jupyter keeps it: text, and a table or a picture where the value has one."""
    data: dict[str, Any] = {"text/plain": repr(value).splitlines(keepends=True)}
    if hasattr(value, "_repr_html_"):
        data["text/html"] = value._repr_html_().splitlines(keepends=True)
    if hasattr(value, "_repr_jpeg_"):  # small, as the file is committed; a PNG of noisy pictures is not
        data = {"image/jpeg": base64.b64encode(value._repr_jpeg_()).decode(), "text/plain": ["<picture>"]}
    return {"output_type": "execute_result", "execution_count": number, "metadata": {}, "data": data}


def main() -> None:
    path = Path(sys.argv[1])
    notebook = json.loads(path.read_text(encoding="utf-8"))
    run(notebook, path.name)
    if "--write" in sys.argv:
        path.write_text(json.dumps(notebook, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    else:
        json.dump([cell.get("outputs") for cell in notebook["cells"]], sys.stdout)


if __name__ == "__main__":
    main()
