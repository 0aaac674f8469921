"""What tests run jobs with: the function that stands for `python` (tests/support/python_server.py)."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import python_server

needs_proc = pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="the function needs /proc")


@needs_proc
def test_the_shell_keeps_its_outputs_while_it_asks(tmp_path: Path) -> None:
    """The server may look at them before the request is written: here it is too long to be."""
    script = "set -euo pipefail; python job.py \"$(head -c 20000000 /dev/zero | tr '\\0' a)\""
    with socket.create_server(("127.0.0.1", 0)) as listener, (tmp_path / "out").open("wb") as out:
        function = python_server.FUNCTION.format(port=listener.getsockname()[1])
        environment = os.environ | {"BASH_FUNC_python%%": function}
        shell = subprocess.Popen(["bash", "-c", script], env=environment, stdout=out)
        connection, _ = listener.accept()
        with connection, connection.makefile("rb") as stream:
            assert int(python_server._word(stream)) == shell.pid
            assert Path(f"/proc/{shell.pid}/fd/1").readlink() == tmp_path / "out"
            assert int(python_server._word(stream)) == 2
            ends = 0
            while ends < 2:
                ends += stream.read1(1 << 20).count(b"\0")
            connection.sendall(b"3\n")
        assert shell.wait() == 3


@needs_proc
def test_a_server_that_ends_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        function = python_server.FUNCTION.format(port=listener.getsockname()[1])
        shell = subprocess.Popen(
            ["bash", "-c", "set -euo pipefail; python job.py; echo went on"],
            env=os.environ | {"BASH_FUNC_python%%": function},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        connection, _ = listener.accept()
        connection.recv(1 << 16)
        connection.close()
        assert shell.communicate() == ("", "the server of tests ended before its job did: job.py\n")
        assert shell.returncode == 1


@pytest.mark.parametrize("status", [0, 7])
def test_a_job_has_the_shells_folder_environment_and_outputs(tmp_path: Path, status: int) -> None:
    (tmp_path / "job.py").write_text(
        "import os, sys\nprint(os.getcwd(), os.environ['MARK'], *sys.argv)\n"
        f"print('said', file=sys.stderr)\nsys.exit({status})\n"
    )
    done = subprocess.run(
        ["bash", "-c", 'python job.py "two words"'],
        cwd=tmp_path,
        env=os.environ | python_server.environment(sys.executable) | {"MARK": "here"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (status, f"{tmp_path} here job.py two words\n", "said\n")
