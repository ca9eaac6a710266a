"""Checks AgentGate's log without trusting the server that keeps it.

The command is `agentgate-audit`. As a library: `verify_export`, `verify_proof`, `verify_receipt` and
`check_consistency` raise `Broken` for evidence that does not hold, and `Unusable` for what they cannot read.
"""

from ._version import VERSION as __version__
from .checkpoint import Checkpoint, open_checkpoint, verify_cosignature
from .consistency import check_consistency
from .entries import Entry
from .errors import AuditError, Broken, Unusable
from .export import Summary, verify_export
from .limits import Limit, Spending, parse_limit, parse_spending
from .note import COSIGNATURE, ED25519, VerifierKey, parse_key
from .proof import verify_proof
from .receipt import match_decision, match_entry, match_question, verify_receipt
from .tiles import open_source
from .witness import Witness
from .witness_server import WitnessServer
from .witness_state import open_state

__all__ = [
    "COSIGNATURE",
    "ED25519",
    "AuditError",
    "Broken",
    "Checkpoint",
    "Entry",
    "Limit",
    "Spending",
    "Summary",
    "Unusable",
    "VerifierKey",
    "Witness",
    "WitnessServer",
    "__version__",
    "check_consistency",
    "match_decision",
    "match_entry",
    "match_question",
    "open_checkpoint",
    "open_source",
    "open_state",
    "parse_key",
    "parse_limit",
    "parse_spending",
    "verify_cosignature",
    "verify_export",
    "verify_proof",
    "verify_receipt",
]
