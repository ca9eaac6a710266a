from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from log_builder import Export, LogBuilder, Signer

from agentgate_audit import Summary, VerifierKey, parse_key, verify_export
from agentgate_audit.note import COSIGNATURE, ED25519

Verify = Callable[..., Summary]


@pytest.fixture
def log() -> LogBuilder:
    return LogBuilder()


@pytest.fixture(scope="session")
def key() -> VerifierKey:
    return parse_key(Signer().vkey, ED25519)


@pytest.fixture(scope="session")
def witness() -> Signer:
    return Signer("witness.example/w1", COSIGNATURE, seed=2)


@pytest.fixture
def verify(tmp_path: Path, key: VerifierKey) -> Verify:
    """Verify an export or its bytes."""

    def run(export: Export | bytes, **options: object) -> Summary:
        path = tmp_path / "export.jsonl"
        path.write_bytes(export if isinstance(export, bytes) else export.data())
        return verify_export(path, key, **options)  # type: ignore[arg-type]

    return run


@pytest.fixture
def history(log: LogBuilder) -> LogBuilder:
    """A log with a person's connection from consent to revocation, among the entries of others."""
    log.fill(3)
    log.add("consent.approved", userAgent="Firefox", ip="203.0.113.9")
    log.allow(ip="203.0.113.9", amount={"currency": "EUR", "value": "12.5"})
    log.fill(2)
    log.deny(policy={"policyId": "pol_1", "ruleIndex": 0})
    log.allow(amount={"currency": "EUR", "value": "1.25"}, serviceOrganizationIds=["org_2"])
    log.allow(userAgent="Chrome – “new”")
    log.fill(1)
    log.add("consent.revoked")
    log.deny()
    return log
