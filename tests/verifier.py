"""The package agentgate-audit, found in this checkout: what our readers judge the server with."""

import sys

from tests.live.server import ROOT

sys.path.insert(0, str(ROOT / "sdk" / "audit" / "src"))

from agentgate_audit import (
    ED25519,
    Broken,
    Summary,
    Unusable,
    VerifierKey,
    Witness,
    WitnessServer,
    check_consistency,
    open_checkpoint,
    open_source,
    open_state,
    parse_key,
    parse_limit,
    parse_spending,
    verify_export,
    verify_proof,
)
from agentgate_audit.cli import main

__all__ = [
    "ED25519",
    "Broken",
    "Summary",
    "Unusable",
    "VerifierKey",
    "Witness",
    "WitnessServer",
    "check_consistency",
    "main",
    "open_checkpoint",
    "open_source",
    "open_state",
    "parse_key",
    "parse_limit",
    "parse_spending",
    "verify_export",
    "verify_proof",
]
