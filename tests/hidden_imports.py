"""Imports that import-linter cannot see: modules and models that code loads by name, and reverse relations in queries.

A layer may name only what it may import: the layers below it, and itself. `./dev check` runs this.
"""

import ast
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import chain
from pathlib import Path

# The name of the module or of the app is the first argument.
LOADERS = {"__import__", "get_app_config", "get_containing_app_config", "get_model", "import_module", "import_string"}
QUERIES = {"Count", "F", "Max", "Min", "OuterRef", "Q", "Sum", "aggregate", "annotate", "defer", "distinct", "earliest"}
QUERIES |= {"exclude", "filter", "get", "latest", "only", "order_by", "prefetch_related", "select_related", "values"}
QUERIES |= {"values_list"}


def levels_of(layers: Sequence[str]) -> dict[str, int]:
    """Return the level of each package, the lowest first. A layer of the contract can list several packages."""
    lowest_first = enumerate(reversed(layers))
    return {name.strip(): level for level, layer in lowest_first for name in re.split("[|:]", layer)}


def hidden_imports(root: Path, levels: Mapping[str, int]) -> Iterator[str]:
    """Yield a line for each name of a package that the file's own package may not import."""
    relations = reverse_relations(root, levels)
    for package, level in levels.items():
        above = {name: owner for name, owner in relations.items() if levels[owner] > level}
        for path in sorted((root / package).rglob("*.py")):
            if "migrations" not in path.parts:
                source, where = path.read_text(), path.relative_to(root)
                for line, text in chain(_loads(source, package, levels), _queries(source, above)):
                    yield f"{where}:{line} {text}, which {package}/ may not import"


def _loads(source: str, package: str, levels: Mapping[str, int]) -> Iterator[tuple[int, str]]:
    """Only the server, which runs the middleware of the settings, and what is above it can compute names."""
    for line, name in loaded_names(source):
        target = (name or "").partition(".")[0]
        if name is None and levels[package] < levels.get("server", max(levels.values())):
            yield line, "loads a module or model whose name the check cannot read"
        elif target != package and levels.get(target, -1) >= levels[package]:
            yield line, f"loads {name!r} by name"


def _queries(source: str, above: Mapping[str, str]) -> Iterator[tuple[int, str]]:
    for line, name in queried_names(source):
        if name in above:
            yield line, f"queries {name!r} of {above[name]}/"


def reverse_relations(root: Path, levels: Mapping[str, int]) -> dict[str, str]:
    """Return the package of each `related_name`, the lowest if several have it."""
    found = {}
    for package in sorted(levels, key=lambda name: -levels[name]):
        for path in (root / package).glob("models.py"):
            keywords = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.keyword)]
            found |= {str(_constant(one.value)): package for one in keywords if one.arg == "related_name"}
    return found


def queried_names(source: str) -> Iterator[tuple[int, str]]:
    """Yield the line and the first part of each name in a query: `Agent.objects.filter(consents__status=...)`."""
    for node in _calls(source):
        if _name_of(node.func) in QUERIES:
            names = [keyword.arg or "" for keyword in node.keywords] + [_constant(one) or "" for one in node.args]
            yield from ((node.lineno, name.lstrip("-").partition("__")[0]) for name in names)


def loaded_names(source: str) -> Iterator[tuple[int, str | None]]:
    """Yield the line and the name of each thing that the source loads by name. The name is None if it is computed.

    Names below the module itself (f"{__name__}.child") are left out.
    """
    for node in _calls(source):
        is_load = _name_of(node.func) in LOADERS and node.args
        if is_load and not _is_below_itself(node.args[0]):
            yield node.lineno, _constant(node.args[0])


@lru_cache(maxsize=1)  # both questions are asked about each file in turn
def _calls(source: str) -> list[ast.Call]:
    return [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]


def _name_of(function: ast.expr) -> str:
    if isinstance(function, ast.Attribute):
        return function.attr
    return function.id if isinstance(function, ast.Name) else ""


def _constant(node: ast.expr) -> str | None:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


def _is_below_itself(node: ast.expr) -> bool:
    first = node.values[0] if isinstance(node, ast.JoinedStr) and node.values else None
    return isinstance(first, ast.FormattedValue) and _name_of(first.value) == "__name__"
