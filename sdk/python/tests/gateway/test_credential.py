"""The credential of the gateway: a file that others cannot read, or a descriptor that is closed after it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from gateways import write_files

import agentgate_oauth
from agentgate_oauth.gateway.config import ConfigError
from agentgate_oauth.gateway.files import Credential, receive_credential
from agentgate_oauth.gateway.lock import Definitions

ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(agentgate_oauth.__file__).parents[1])}
GOOD = b'{"id": "res_1", "secret": "rs_1"}'
RUN = "from agentgate_oauth.cli import main; main()"
# It runs a command that fails, and says whether others can read its memory before and after that.
DUMPABLE = """
import contextlib, ctypes
from agentgate_oauth.cli import main
get = ctypes.CDLL(None).prctl
print(get(3))
with contextlib.suppress(SystemExit):
    main()
print(get(3))
"""


def pipe_with(content: bytes) -> int:
    reader, writer = os.pipe()
    os.write(writer, content)
    os.close(writer)
    return reader


def test_a_descriptor_is_read_and_closed() -> None:
    descriptor = pipe_with(GOOD)
    assert receive_credential(descriptor) == Credential("res_1", "rs_1")
    with pytest.raises(OSError):
        os.fstat(descriptor)
    with pytest.raises(
        ConfigError, match=f"--credential-fd {descriptor} cannot be read: Bad file descriptor"
    ):
        receive_credential(descriptor)


@pytest.mark.parametrize(
    "content", [b"", b"{}", b'{"id": "res_1", "secret": ""}', GOOD + b" " * 10_000 + b"x"]
)
def test_what_is_no_credential_is_not_repeated(content: bytes) -> None:
    with pytest.raises(ConfigError, match="is damaged") as raised:
        receive_credential(pipe_with(content))
    assert "res_1" not in str(raised.value)
    assert raised.value.__context__ is None


@pytest.mark.skipif(sys.platform != "linux", reason="PR_GET_DUMPABLE is of Linux")
@pytest.mark.parametrize(
    "command",
    [["run"], ["run", "--stdio"], ["check"], ["accept"], ["init", "no-such-program"], ["login"]],
)
def test_other_programs_of_the_user_cannot_read_the_memory(command: list[str], tmp_path: Path) -> None:
    given = [sys.executable, "-c", DUMPABLE, "gateway", *command]
    options: dict[str, Any] = {"capture_output": True, "check": True, "text": True, "cwd": tmp_path}
    done = subprocess.run(given, env=ENVIRONMENT, **options)
    assert done.stdout.split() == ["1", "0"], done.stderr


def test_a_gateway_runs_without_the_file(tmp_path: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    files = write_files(tmp_path, "http://127.0.0.1:9/mcp", Definitions(), port)
    files.credential.unlink()
    descriptor = pipe_with(GOOD)
    command = [sys.executable, "-c", RUN, "gateway", "run", "--config", str(files.config)]
    command += ["--log-level", "error", "--credential-fd", str(descriptor)]
    options: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    with subprocess.Popen(command, pass_fds=[descriptor], env=ENVIRONMENT, **options) as process:
        os.close(descriptor)
        assert process.stdout is not None
        line = process.stdout.readline()
        process.terminate()
    assert "Notes listens on" in line
