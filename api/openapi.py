"""Pydantic models in the OpenAPI document, without what pydantic adds for other readers."""

from typing import Any

from drf_spectacular.contrib.pydantic import PydanticExtension
from drf_spectacular.plumbing import ResolvedComponent
from pydantic.json_schema import GenerateJsonSchema


class PlainJsonSchema(GenerateJsonSchema):
    """Leaves out titles, which repeat names, and defaults of null, which say that a field may be left out."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False

    def default_schema(self, schema: Any) -> dict[str, Any]:
        is_omittable = schema.get("default", ...) is None
        return self.generate_inner(schema["schema"]) if is_omittable else super().default_schema(schema)


class ModelExtension(PydanticExtension):
    """Describes a body as it is validated and an answer as it is serialized."""

    target_class = "pydantic.BaseModel"
    match_subclasses = True
    priority = 1

    def map_serializer(self, auto_schema: Any, direction: str) -> Any:
        schema = self.target.model_json_schema(
            ref_template="#/components/schemas/{model}",
            schema_generator=PlainJsonSchema,
            mode="validation" if direction == "request" else "serialization",
        )
        for name, definition in schema.pop("$defs", {}).items():
            definition.pop("title", None)
            component = ResolvedComponent(name=name, type=ResolvedComponent.SCHEMA, object=name, schema=definition)
            auto_schema.registry.register_on_missing(component)
        schema.pop("title", None)
        return schema
