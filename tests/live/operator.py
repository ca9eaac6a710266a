"""A process with a server's settings that runs code beside it: starting one for each piece takes seconds."""

import json
import os
from pathlib import Path
from tempfile import TemporaryDirectory

from tests import preloaded
from tests.live.server import LiveServer, full
from tests.waiting import wait_until

RUN_EACH_LINE = """
import json
for line in open({pipe!r}):
    exec(json.loads(line), {{}})
    print("done", flush=True)
"""


class Operator:
    """Runs code in one process, which starts when it is first needed."""

    def __init__(self, server: LiveServer) -> None:
        self._server = server
        self._folder = TemporaryDirectory()
        self._pipe, self._output = (Path(self._folder.name) / name for name in ("pipe", "output"))
        self._program: preloaded.Program | None = None
        self._ran = 0
        os.mkfifo(self._pipe)
        # A pipe that is open for both does not wait for the other end.
        self._writer = os.open(self._pipe, os.O_RDWR)

    def run(self, code: str) -> None:
        """Run the code, and return once it has ended. Fails if it raises."""
        program = self._program = self._program or self._start()
        os.write(self._writer, json.dumps(code).encode() + b"\n")
        self._ran += 1

        def is_over() -> bool:
            assert program.poll() is None, self._output.read_text()
            return self._output.read_text().count("done\n") == self._ran

        wait_until(is_over, self._output.read_text, pause=0.02)

    def stop(self) -> None:
        if self._program:
            self._program.kill()
            self._program.wait()
        os.close(self._writer)
        self._folder.cleanup()

    def _start(self) -> preloaded.Program:
        command = ["manage.py", "shell", "-v0", "--no-imports", "-c", RUN_EACH_LINE.format(pipe=str(self._pipe))]
        with self._output.open("wb") as output:
            return preloaded.start(command, full(self._server.environment), output, output)
