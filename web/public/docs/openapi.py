"""The OpenAPI document in docs/openapi.json."""

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from web.public.docs.pages import REFERENCE, version_of


def document() -> Mapping[str, Any]:
    """Return the document. It is read once per process, and in debug mode after each change."""
    return _document(version_of(REFERENCE))


def schemas() -> Mapping[str, Any]:
    """Return the schemas that others refer to, by name."""
    found: Mapping[str, Any] = document()["components"]["schemas"]
    return found


def reference_in(schema: Mapping[str, Any]) -> str:
    """Return the name of the schema that this one refers to, or an empty string."""
    return str(schema.get("$ref", "")).rpartition("/")[2]


@lru_cache(maxsize=1)
def _document(version: int) -> Mapping[str, Any]:
    found: Mapping[str, Any] = json.loads(REFERENCE.read_text())
    return found
