"""A shell in which `agentgate` runs."""

import io
import json
import os
import shlex
import sys
from contextlib import ExitStack, chdir, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any
from unittest.mock import patch

import tests.sdk.conftest  # noqa: F401 - the next two are found on the path set there

# isort: split
from agentgate_oauth.cli.app import run
from in_process import Piped


class Terminal:
    """A shell in the folder `home` with `agentgate` in its path.

    Its commands run in this process, because starting Python for each of them takes most of a second.
    """

    def __init__(self, home: Path, **environment: str) -> None:
        self.home = home
        self.environment = {**os.environ, "AGENTGATE_CONFIG_DIR": str(home / "config"), **environment}

    def run(self, *arguments: str, given: str = "", code: int = 0) -> str:
        """Return what `agentgate` printed on both streams."""
        printed = io.StringIO()
        with ExitStack() as stack:
            stack.enter_context(chdir(self.home))
            stack.enter_context(patch.dict(os.environ, self.environment, clear=True))
            stack.enter_context(patch.object(sys, "stdin", io.TextIOWrapper(Piped(given.encode()))))
            stack.enter_context(redirect_stdout(printed))
            stack.enter_context(redirect_stderr(printed))
            ended = run(list(arguments))
        assert ended == code, printed.getvalue()
        return printed.getvalue()

    def json(self, *arguments: str, given: str = "", code: int = 0) -> Any:
        """Return the JSON document that `agentgate` printed."""
        return json.loads(self.run(*arguments, "--json", given=given, code=code))

    def type(self, line: str) -> str:
        """Return what a line such as `agentgate verify < token  # a comment` prints."""
        words = shlex.split(line, comments=True)
        given = ""
        if "<" in words:
            *words, _, file = words
            given = (self.home / file).read_text(encoding="utf-8")
        return self.run(*words[1:], given=given)
