"""The check of the repository finds what it looks for."""

from pathlib import Path

import pytest

from tests.check_project import modules_in_circles

MODULES = {
    "__init__": "",
    "a": "from circle import b",
    "b": "def later() -> None:\n    from circle.below import c",
    "below/__init__": "",
    "below/c": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import circle.a",
    "above": "from circle import a",
    "beside": "",
}


def test_modules_that_import_themselves_through_others_are_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, source in MODULES.items():
        path = tmp_path / "circle" / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source)
    monkeypatch.syspath_prepend(tmp_path)
    assert modules_in_circles(["circle"]) == {"circle.a", "circle.b", "circle.below.c"}
