"""The committed OpenAPI document, held against a running server by schemathesis."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.live.gate import Gate
from tests.live.server import ROOT

DOCUMENT = ROOT / "docs" / "openapi.json"
# They end the credential that the run goes on with; their own tests are elsewhere.
ENDS_THE_CREDENTIAL = "logout$|api-keys/rotate$"
# A schema cannot say that a client exists or that a password is hard to guess, so valid data may still get a 400.
BEYOND_A_SCHEMA = "positive_data_acceptance"


def credential(gate: Gate, who: str) -> str:
    """Return schemathesis's configuration for one caller; with both credentials at once the API refuses."""
    developer, person = gate.developer(), gate.person()
    gate.tokens(gate.agent(developer), person)
    if who == "developer":
        return f'[auth.openapi.apiKey]\napi_key = "{developer.api_key}"\n'
    return f'[auth.openapi.sessionToken]\nbearer = "{person.session_token}"\n'


def run_schemathesis(gate: Gate, folder: Path, who: str, examples: int) -> None:
    """Fail with schemathesis's report if it finds anything."""
    configuration = folder / "schemathesis.toml"
    configuration.write_text(credential(gate, who))
    command = [
        Path(sys.executable).with_name("schemathesis"),
        *("--config-file", configuration),
        *("run", DOCUMENT, "--url", gate.url),
        *("--exclude-path-regex", ENDS_THE_CREDENTIAL),
        *("--exclude-checks", BEYOND_A_SCHEMA),
        *("--max-examples", str(examples), "--seed", "20261124", "--workers", "2"),
        *("--suppress-health-check", "all", "--request-timeout", "20", "--no-color"),
    ]
    ended = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=900, check=False)
    assert ended.returncode == 0, ended.stdout[-8000:] + ended.stderr[-2000:]


@pytest.mark.parametrize("live_store", ["postgresql"], indirect=True)
@pytest.mark.parametrize("who", ["developer", "person"])
def test_the_server_does_what_the_document_says(gate: Gate, tmp_path: Path, who: str) -> None:
    run_schemathesis(gate, tmp_path, who, examples=4)


@pytest.mark.soak
@pytest.mark.parametrize("who", ["developer", "person"])
def test_the_server_goes_on_doing_what_the_document_says(gate: Gate, tmp_path: Path, who: str) -> None:
    run_schemathesis(gate, tmp_path, who, examples=150)
