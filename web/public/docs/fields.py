"""The fields of a JSON schema in words, with the fields inside them."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from django.utils.safestring import SafeString
from django.utils.translation import gettext, ngettext

from web.public.docs.markdown import render_text
from web.public.docs.openapi import reference_in, schemas

# The names of the schemas that contain a schema.
type Above = tuple[str, ...]

# A longer pattern says nothing to a reader.
MAX_PATTERN = 60
# Any text without a NUL.
ANY_TEXT = r"^[^\u0000]*$"


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a request or a response. `facts` are its limits and its default in words.

    An alternative is one of several objects that the field above may be. Its name is the value of its `type`.
    """

    name: str
    kind: str
    is_required: bool
    description: SafeString
    facts: Sequence[str]
    values: Sequence[tuple[str, str]]
    fields: Sequence["Field"]
    is_alternative: bool = False


def field_of(name: str, holder: Mapping[str, Any], *, is_required: bool = False) -> Field:
    """Return the field that `holder["schema"]` describes. A description beside the schema comes first."""
    schema = {**holder["schema"]}
    if holder.get("description"):
        schema["description"] = holder["description"]
    return _Reader(schemas()).field(name, schema, is_required=is_required)


@dataclass(frozen=True, slots=True)
class _Reader:
    schemas: Mapping[str, Any]

    def field(self, name: str, schema: Mapping[str, Any], above: Above = (), *, is_required: bool = False) -> Field:
        """Return the field. A schema in `above`, which contains this one, is not expanded again."""
        schema, above, is_known = self.resolve(schema, above)
        return Field(
            name=name,
            kind=self.kind(schema),
            is_required=is_required,
            description=render_text(schema.get("description", "")),
            facts=tuple(_facts(schema)),
            values=_values(schema),
            fields=() if is_known else tuple(self.inside(schema, above)),
        )

    def resolve(self, schema: Mapping[str, Any], above: Above) -> tuple[Mapping[str, Any], Above, bool]:
        """Return the schema that a reference means, the schemas above it, and whether it is one of them."""
        is_known = False
        while name := reference_in(schema):
            is_known = name in above
            above = (*above, name)
            schema = {**self.schemas[name], **{key: value for key, value in schema.items() if key != "$ref"}}
        return schema, above, is_known

    def kind(self, schema: Mapping[str, Any]) -> str:
        """Return the type in words: "array of strings", "string or null"."""
        options = schema.get("anyOf") or schema.get("oneOf")
        if options:
            words = dict.fromkeys(self.kind(self.resolve(each, ())[0]) for each in options)
            return gettext(" or ").join(words)
        if schema.get("type") == "array":
            items = self.kind(self.resolve(schema.get("items", {}), ())[0])
            return gettext("array of %(items)s") % {"items": items}
        if "const" in schema:
            return json.dumps(schema["const"])
        kinds = schema.get("type", gettext("any value"))
        name = kinds if isinstance(kinds, str) else gettext(" or ").join(kinds)
        return f"{name} ({schema['format']})" if "format" in schema else name

    def inside(self, schema: Mapping[str, Any], above: Above) -> Iterator[Field]:
        """Yield the fields of an object, of the objects in an array, or of each alternative."""
        required = schema.get("required", ())
        for name, each in schema.get("properties", {}).items():
            yield self.field(name, each, above, is_required=name in required)
        for each in (schema.get("items"), _further(schema)):
            if each:
                yield from self.unwrapped(each, above)
        yield from self.alternatives(schema, above)

    def alternatives(self, schema: Mapping[str, Any], above: Above) -> Iterator[Field]:
        """Yield the fields of the one object that the value may be, or else each object that it may be."""
        options = schema.get("anyOf") or schema.get("oneOf") or ()
        objects = [each for each in options if "properties" in self.resolve(each, ())[0]]
        for each in objects:
            if len(objects) == 1:
                yield from self.unwrapped(each, above)
            else:
                yield replace(self.field(self.title(each), each, above), is_alternative=True)

    def title(self, schema: Mapping[str, Any]) -> str:
        """Return the value of the field `type`, or the name of the schema."""
        kind = schema.get("properties", {}).get("type", {}).get("enum", ())
        return str(next(iter(kind), reference_in(schema)))

    def unwrapped(self, schema: Mapping[str, Any], above: Above) -> Iterator[Field]:
        """Yield the fields inside a schema that has no name of its own."""
        schema, above, is_known = self.resolve(schema, above)
        if not is_known:
            yield from self.inside(schema, above)


def _further(schema: Mapping[str, Any]) -> Any:
    """Return the schema of the values of a map, or None."""
    found = schema.get("additionalProperties")
    return found if isinstance(found, dict) else None


def _facts(schema: Mapping[str, Any]) -> Iterator[str]:
    schema = {RENAMED.get(key, key): value for key, value in schema.items()}
    for kinds, low, high, words in RANGES:
        if schema.get("type") in kinds and (low in schema or high in schema):
            yield words(schema.get(low), schema.get(high))
    if schema.get("default") not in (None, "", []):
        yield gettext("Default: %(value)s") % {"value": json.dumps(schema["default"])}
    if "pattern" in schema and len(schema["pattern"]) < MAX_PATTERN and schema["pattern"] != ANY_TEXT:
        yield gettext("Pattern: %(pattern)s") % {"pattern": schema["pattern"]}


def _values(schema: Mapping[str, Any]) -> Sequence[tuple[str, str]]:
    """Return the values of an enumeration with their meaning, which may be empty."""
    meaning = schema.get("x-enumDescriptions", {})
    enum = schema.get("enum") or schema.get("items", {}).get("enum", ())
    return [(str(value), meaning.get(value, "")) for value in enum]


def _characters(low: int | None, high: int | None) -> str:
    if high is None:
        return ngettext("At least %(low)d character", "At least %(low)d characters", low or 0) % {"low": low}
    if not low:
        return gettext("At most %(high)d characters") % {"high": high}
    return gettext("%(low)d to %(high)d characters") % {"low": low, "high": high}


def _items(low: int | None, high: int | None) -> str:
    if high is None:
        return ngettext("At least %(low)d item", "At least %(low)d items", low or 0) % {"low": low}
    if not low:
        return gettext("At most %(high)d items") % {"high": high}
    return gettext("%(low)d to %(high)d items") % {"low": low, "high": high}


def _between(low: float | None, high: float | None) -> str:
    if high is None:
        return gettext("At least %(low)s") % {"low": low}
    if low is None:
        return gettext("At most %(high)s") % {"high": high}
    return gettext("%(low)s to %(high)s") % {"low": low, "high": high}


# Pydantic writes these for a field that can be omitted.
RENAMED = {"ge": "minimum", "le": "maximum"}
RANGES = (
    (("string",), "minLength", "maxLength", _characters),
    (("array",), "minItems", "maxItems", _items),
    (("object",), "minProperties", "maxProperties", _items),
    (("integer", "number"), "minimum", "maximum", _between),
)
