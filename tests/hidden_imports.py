"""Imports that import-linter cannot see: modules and models that code loads by name, in a string.

A layer may load by name only what it may import: the layers below it, and itself. `./dev check` runs this.
"""

import ast
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

# The name of the module or of the app is the first argument.
LOADERS = {"__import__", "get_app_config", "get_containing_app_config", "get_model", "import_module", "import_string"}


def levels_of(layers: Sequence[str]) -> dict[str, int]:
    """Return the level of each package, the lowest first. A layer of the contract can list several packages."""
    lowest_first = enumerate(reversed(layers))
    return {name.strip(): level for level, layer in lowest_first for name in re.split("[|:]", layer)}


def hidden_imports(root: Path, levels: Mapping[str, int]) -> Iterator[str]:
    """Yield a line for each name of a package that the file's own package may not import.

    Only the server, which runs the middleware of the settings, and what is above it can compute names.
    """
    highest = levels.get("server", max(levels.values()))
    for package, level in levels.items():
        for path in sorted((root / package).rglob("*.py")):
            if "migrations" in path.parts:
                continue
            for line, name in loaded_names(path.read_text()):
                where = f"{path.relative_to(root)}:{line}"
                if name is None and level < highest:
                    yield f"{where} loads a module or model whose name the check cannot read"
                target = (name or "").partition(".")[0]
                if target != package and levels.get(target, -1) >= level:
                    yield f"{where} loads {name!r} by name, which {package}/ may not import"


def loaded_names(source: str) -> Iterator[tuple[int, str | None]]:
    """Yield the line and the name of each thing that the source loads by name. The name is None if it is computed.

    Names below the module itself (f"{__name__}.child") are left out.
    """
    for node in ast.walk(ast.parse(source)):
        is_load = isinstance(node, ast.Call) and _name_of(node.func) in LOADERS and node.args
        if is_load and not _is_below_itself(node.args[0]):
            yield node.lineno, _constant(node.args[0])


def _name_of(function: ast.expr) -> str:
    if isinstance(function, ast.Attribute):
        return function.attr
    return function.id if isinstance(function, ast.Name) else ""


def _constant(node: ast.expr) -> str | None:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


def _is_below_itself(node: ast.expr) -> bool:
    first = node.values[0] if isinstance(node, ast.JoinedStr) and node.values else None
    return isinstance(first, ast.FormattedValue) and _name_of(first.value) == "__name__"
