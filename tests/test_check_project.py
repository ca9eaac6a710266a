"""The checks of the repository find what they look for."""

import json
from pathlib import Path

import pytest

from tests.check_openapi import problems
from tests.check_project import ROOT, modules_in_circles

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


def test_what_openapi_does_not_permit_is_found(tmp_path: Path) -> None:
    document = json.loads((ROOT / "docs" / "openapi.json").read_text())
    document["paths"]["/api/v1/health"]["get"]["parameters"] = [{"name": "q", "in": "elsewhere"}]
    changed = tmp_path / "openapi.json"
    changed.write_text(json.dumps(document))
    assert any(line.startswith("/paths//api/v1/health/get/parameters/0") for line in problems(changed))
