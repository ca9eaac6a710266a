"""The check of modules and models that a lower layer loads by name (`./dev check`)."""

from pathlib import Path

import pytest

from tests.hidden_imports import hidden_imports, levels_of

LEVELS = levels_of(["site", "tokens | events", "agents"])
ALLOWED = [
    ("agents", 'apps.get_model("agents", "Agent")'),
    ("agents", 'import_module("json")'),
    ("agents", 'import_module(f"{__name__}.{child}")'),
    ("tokens", 'apps.get_model("agents.Agent")'),
    ("site", "import_string(path)"),
]
REFUSED = [
    ("agents", 'apps.get_model("tokens", "Token")'),
    ("agents", 'get_model("tokens.Token")'),
    ("agents", 'importlib.import_module("site.views")'),
    ("agents", '__import__("tokens")'),
    ("agents", "apps.get_model(app, model)"),
    ("agents", 'import_module(f"{other}.models")'),
    ("tokens", 'import_string("events.models.Hook")'),
]


def found(root: Path, package: str, code: str) -> list[str]:
    (root / package).mkdir()
    (root / package / "some.py").write_text(f"import os\n\n{code}\n")
    return list(hidden_imports(root, LEVELS))


@pytest.mark.parametrize(("package", "code"), ALLOWED)
def test_names_of_lower_layers_are_allowed(tmp_path: Path, package: str, code: str) -> None:
    assert found(tmp_path, package, code) == []


@pytest.mark.parametrize(("package", "code"), REFUSED)
def test_names_of_other_layers_and_computed_names_are_reported(tmp_path: Path, package: str, code: str) -> None:
    (line,) = found(tmp_path, package, code)
    assert line.startswith(f"{package}/some.py:3 ")
