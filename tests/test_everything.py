"""`./dev test` fails if a test, a file or a folder silently stops running."""

import os
from pathlib import Path
from unittest import mock

import pytest

from tests import everything
from tests.shared import cases

ALL = ["-c", os.devnull, "--rootdir", ".", "-p", "tests.results", "-p", "no:cacheprovider", "suite"]
MARKED = "import pytest\n\n@pytest.mark.soak\ndef test_long(): pass\n\n@pytest.mark.browser\ndef test_clicks(): pass\n"
LISTED = "suite/b/test_b.py,soak,1,It takes long.\n"


@pytest.fixture
def suite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with tests in two folders, of which `./dev test` leaves one test to soak."""
    for name, source in (("a", "def test_passes(): pass\n"), ("b", MARKED)):
        (tmp_path / "suite" / name).mkdir(parents=True)
        (tmp_path / "suite" / name / f"test_{name}.py").write_text(source)
    monkeypatch.setenv("PYTHONPATH", str(Path.cwd()))
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def outcome(arguments: list[str], left_out: str) -> tuple[int, str]:
    """Run `./dev test` with one part. Return its status and what it printed."""
    Path("left_out.csv").write_text(f"tests,state,cases,reason\n{left_out}")
    parts = {"PARTS": {"all": [*ALL, *arguments]}, "BESIDE": (("all",),)}
    changes = {**parts, "FOLDER": Path("suite"), "TABLE": Path("left_out.csv")}
    with (
        mock.patch.multiple(everything, **changes),
        Path("printed").open("w") as output,
        mock.patch("sys.stdout", output),
    ):
        status = everything.main()
    return status, Path("printed").read_text()


def test_it_ends_with_a_table_of_folders(suite):
    status, printed = outcome(["-m", "not soak"], LISTED)
    rows = [line.split()[:4] for line in printed.partition("== folders")[2].splitlines()[2:]]
    assert rows == [["suite/a", "1", "1", "0"], ["suite/b", "2", "1", "1"]]
    assert status == 0


@cases(
    ("arguments", "left_out", "said"),
    [
        (["--ignore=suite/a", "-m", "not soak"], LISTED, "No test of suite/a ran."),
        (["-m", "not soak", "--ignore=suite/a/test_a.py"], LISTED, "No part of ./dev test collects suite/a/test_a.py."),
        (["-m", "not (soak or browser)"], LISTED, "No test of suite/b ran."),
        (
            ["-m", "not (soak or browser)"],
            LISTED,
            "has no row for 1 that were left out: suite/b/test_b.py,unselected,1",
        ),
        (["-m", "not soak"], "", "has no row for 1 that were left out: suite/b/test_b.py,soak,1"),
        ([], LISTED, "0 were left out, not 1: suite/b/test_b.py,soak"),
        (["-m", "not soak"], "suite/b,soak,1,\n", "give a reason: suite/b,soak"),
    ],
)
def test_what_stops_running_fails_it(suite, arguments, left_out, said):
    status, printed = outcome(arguments, left_out)
    assert said in printed
    assert status == 1
