"""Schemathesis checks a running server against the committed OpenAPI document."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.live.gate import Gate
from tests.live.server import ROOT

DOCUMENT = ROOT / "docs" / "openapi.json"
# These would end the credential that the run uses. They have their own tests.
ENDS_THE_CREDENTIAL = "logout$|api-keys/rotate$"
# The operations that a person's session is for. All others take a developer's key, another credential or none.
PERSONS = r"/users/\{user_id\}|/approvals|/consent/\{consent_id\}/(approve|deny)$"
# What schemathesis expects for data that violates the schema, and the status of a request line that is too long.
REFUSED = '["400", "401", "403", "404", "405", "406", "409", "415", "422", "428", "429", "431", "5xx"]'
# Data that matches the schema can still get a 400, for example an unknown client or a weak password.
BEYOND_A_SCHEMA = "positive_data_acceptance"


def credential(gate: Gate, who: str) -> str:
    """Return the configuration for one credential, because the API refuses both at once."""
    developer, person = gate.developer(), gate.person()
    gate.tokens(gate.agent(developer), person)
    if who == "developer":
        own = f'[parameters]\n"header.X-Organization" = "{developer.organization_id}"\n"query.wait" = "0"\n'
        return f'{own}[auth.openapi.apiKey]\napi_key = "{developer.api_key}"\n'
    return f'[auth.openapi.sessionToken]\nbearer = "{person.session_token}"\n'


def run_schemathesis(gate: Gate, folder: Path, who: str, examples: int, *options: str) -> None:
    """Run schemathesis, and fail with its report if it finds anything."""
    configuration = folder / "schemathesis.toml"
    checks = f"[checks.negative_data_rejection]\nexpected-statuses = {REFUSED}\n"
    configuration.write_text(credential(gate, who) + checks)
    command = [
        Path(sys.executable).with_name("schemathesis"),
        *("--config-file", configuration),
        *("run", DOCUMENT, "--url", gate.url),
        *options,
        *("--exclude-checks", BEYOND_A_SCHEMA),
        *("--max-examples", str(examples), "--seed", "20261124", "--workers", "2"),
        *("--suppress-health-check", "all", "--request-timeout", "20", "--no-color"),
    ]
    ended = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=900, check=False)
    assert ended.returncode == 0, ended.stdout[-8000:] + ended.stderr[-2000:]


@pytest.mark.parametrize("live_store", ["postgresql"], indirect=True)
@pytest.mark.parametrize("who", ["developer", "person"])
def test_the_server_matches_the_document(gate: Gate, tmp_path: Path, who: str) -> None:
    """With each credential only its own operations, and without the thousands of requests that cover each bound."""
    if who == "person":
        paths = ("--include-path-regex", PERSONS)
    else:
        paths = ("--exclude-path-regex", f"{ENDS_THE_CREDENTIAL}|{PERSONS}")
    run_schemathesis(gate, tmp_path, who, 1, *paths, "--phases", "examples,fuzzing")


@pytest.mark.soak
@pytest.mark.parametrize("who", ["developer", "person"])
def test_the_server_matches_the_document_with_many_examples(gate: Gate, tmp_path: Path, who: str) -> None:
    run_schemathesis(gate, tmp_path, who, 150, "--exclude-path-regex", ENDS_THE_CREDENTIAL)
