"""What is read from wrk's output."""

from pathlib import Path

import pytest

from benchmarks import wrk
from benchmarks.wrk import Load

OUTPUT = """Running 4s test @ http://127.0.0.1:8000
  1 threads and 32 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     2.86ms    1.18ms  30.14ms   92.50%
    Req/Sec    11.32k   650.14    12.21k    50.00%
  Latency Distribution
     50%    2.75ms
     75%    3.10ms
     90%    3.60ms
     99%  812.00us
  45114 requests in 4.00s, 18.20MB read
Requests/sec:  11273.90
Transfer/sec:      4.55MB
"""


def test_percentiles_are_not_taken_from_the_column_of_deviations() -> None:
    measured = wrk.parse(OUTPUT)

    assert (measured.rate, measured.p50, measured.p99, measured.answers) == (11273.9, 2.75, 0.812, 45114)


@pytest.mark.parametrize(
    "line", ["  Non-2xx or 3xx responses: 1", "  Socket errors: connect 0, read 1, write 0, timeout 0"]
)
def test_any_other_answer_than_200_ends_the_run(line: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    program = tmp_path / "wrk"
    program.write_text(f"#!/bin/sh\ncat <<'TEXT'\n{OUTPUT}{line}\nTEXT\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")

    with pytest.raises(RuntimeError, match="other answers than 200"):
        wrk.run("http://127.0.0.1:1", tmp_path / "unused.lua", connections=1, seconds=1)


def test_unknown_output_is_an_error() -> None:
    with pytest.raises(RuntimeError, match="something else"):
        wrk.parse("unable to connect")


def test_without_wrk_the_message_names_the_package(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(SystemExit, match="Install the package wrk"):
        wrk.require_wrk()


def test_a_load_is_written_one_request_per_line(tmp_path: Path) -> None:
    load = Load.of_bodies("/verify", ["{1}", "{2}"], Content_Type="application/json")

    script = load.write(tmp_path, "verify").read_text()

    assert (tmp_path / "verify.requests").read_text() == "/verify {1}\n/verify {2}\n"
    assert 'wrk.headers["Content-Type"] = "application/json"' in script
    assert "response =" not in script
