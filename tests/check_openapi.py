"""Fails if a file is not an OpenAPI document: `python -m tests.check_openapi docs/openapi.json`."""

import json
import sys
from pathlib import Path

import jsonschema_rs
from drf_spectacular import validation

SCHEMA = Path(validation.__file__).with_name("openapi_3_1_schema.json")


def problems(document: Path) -> list[str]:
    """Return where the file does not match the schema of OpenAPI 3.1, and why."""
    validator = jsonschema_rs.validator_for(json.loads(SCHEMA.read_text()))
    errors = validator.iter_errors(json.loads(document.read_text()))
    return [f"/{'/'.join(map(str, error.instance_path))}: {error.message[:500]}" for error in errors]


if __name__ == "__main__":
    sys.exit("\n".join(problems(Path(sys.argv[1]))) or 0)
