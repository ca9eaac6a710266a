"""The check of what a lower layer loads by name or queries through a reverse relation (`./dev check`)."""

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


MODELS = """
class Token(Model):
    agent = ForeignKey(Agent, related_name="tokens")
"""


@pytest.mark.parametrize("query", ["filter(tokens__live=True)", 'order_by("-tokens__id")', "exclude(tokens=None)"])
def test_reverse_relations_of_higher_layers_are_reported(tmp_path: Path, query: str) -> None:
    (tmp_path / "tokens").mkdir()
    (tmp_path / "tokens" / "models.py").write_text(MODELS)
    assert found(tmp_path, "site", f"Agent.objects.{query}") == []
    (line,) = found(tmp_path, "agents", f"Agent.objects.{query}")
    assert line == "agents/some.py:3 queries 'tokens' of tokens/, which agents/ may not import"
