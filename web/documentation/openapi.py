"""The OpenAPI document in docs/openapi.json."""

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from web.documentation.pages import REFERENCE, version_of


def document() -> Mapping[str, Any]:
    """Return the document. It is read once per process, and in debug mode after each change."""
    return _document(version_of(REFERENCE))


@lru_cache(maxsize=1)
def _document(version: int) -> Mapping[str, Any]:
    found: Mapping[str, Any] = json.loads(REFERENCE.read_text())
    return found
