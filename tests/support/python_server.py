"""`python` from a server that has imported once what every verb imports: most of a small job's time is imports.

The jobs of a workflow call `python PATH VERB ...` from bash. A function of that name, handed to bash through the
environment, asks the server to fork and run it in the shell's folder and environment, with the shell's outputs. The
project's own packages are imported anew by each fork. Where there is no /proc, or no server listens, the function calls
the real `python`.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import importlib
import os
import runpy
import signal
import socket
import subprocess
import sys
import traceback
from functools import cache
from pathlib import Path
from typing import BinaryIO

# Other people's modules that training, ranking, tables and pages load; none of the project's own.
MODULES = (
    "torch", "torch._dynamo", "pandas", "pyarrow.parquet", "scipy.stats", "scipy.optimize", "pydantic", "yaml",
    "jinja2", "PIL.Image", "safetensors.torch", "filelock", "nltk.tokenize",
)  # fmt: skip
# The request comes from a subshell: while a builtin is redirected, the shell's own outputs are, and the server looks at them.
FUNCTION = """() {{
    local shell=$BASHPID request status
    if [[ $1 != -* && -r /proc/$shell/environ ]] && exec {{request}}<>/dev/tcp/127.0.0.1/{port}; then
        (printf '%s\\0' "$shell" "$#" "$@" >&"$request")
        if ! read -r status <&"$request"; then
            echo "the server of tests ended before its job did: $*" >&2
            status=1
        fi
        exec {{request}}>&-
        return "$status"
    fi
    command python "$@"
}}"""


@cache
def environment(python: str = sys.executable) -> dict[str, str]:
    """What makes `python` in a bash of this environment a fork of `python`; one server for each in a test process."""
    server = subprocess.Popen(
        [python, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    assert server.stdout is not None and server.stdin is not None
    atexit.register(server.stdin.close)  # its sign to stop
    return {"BASH_FUNC_python%%": FUNCTION.format(port=int(server.stdout.readline()))}


def serve() -> None:
    """Fork for each connection until standard input ends."""
    for name in MODULES:
        importlib.import_module(name)
    gc.freeze()  # no collection of a child walks what is there
    os.fsync = lambda _: None  # nothing here has to survive a loss of power
    listener = socket.create_server(("127.0.0.1", 0))
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for those that answer
    if os.fork() == 0:
        _accept(listener)
    print(listener.getsockname()[1], flush=True)
    sys.stdin.read()
    os.killpg(os.getpgrp(), signal.SIGTERM)


def _accept(listener: socket.socket) -> None:
    while True:
        connection, _ = listener.accept()
        if os.fork() == 0:
            listener.close()
            _answer(connection)
            os._exit(0)
        connection.close()


def _answer(connection: socket.socket) -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    with connection.makefile("rb") as stream:
        shell, count = (int(_word(stream)) for _ in range(2))
        arguments = [_word(stream).decode() for _ in range(count)]
    _become(shell)
    child = os.fork()
    if child == 0:
        connection.close()
        os._exit(_status(arguments))
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    connection.sendall(b"%d\n" % (code if code >= 0 else 128 - code))  # as bash has it


def _word(stream: BinaryIO) -> bytes:
    letters = []
    while (letter := stream.read(1)) != b"\0":
        if not letter:
            raise EOFError("the shell is gone")
        letters.append(letter)
    return b"".join(letters)


def _become(shell: int) -> None:
    """Take over the folder, environment and outputs of the process that asks; there is nothing to read."""
    place = Path(f"/proc/{shell}")
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for number in (1, 2):
        os.dup2(os.open(place / f"fd/{number}", os.O_WRONLY | os.O_APPEND), number)
    os.chdir((place / "cwd").readlink())
    entries = (place / "environ").read_bytes().split(b"\0")
    os.environ.clear()
    for entry in filter(None, entries):
        key, _, value = entry.partition(b"=")
        os.environb[key] = value
    sys.dont_write_bytecode = "PYTHONDONTWRITEBYTECODE" in os.environ


def _status(arguments: list[str]) -> int:
    """Run as `python` would; the status with which it would end."""
    sys.argv = arguments
    sys.path[0:1] = [p for p in os.environ.get("PYTHONPATH", "").split(os.pathsep) if p]
    code: object = 0
    try:
        runpy.run_path(arguments[0], run_name="__main__")
    except SystemExit as end:
        code = end.code
    except BaseException:
        traceback.print_exc()
        code = 1
    if code is not None and not isinstance(code, int):
        print(code, file=sys.stderr)
        code = 1
    with contextlib.suppress(Exception):
        atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    return int(code or 0)


if __name__ == "__main__":
    serve()
