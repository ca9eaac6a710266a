"""The Python SDK of AgentGate, OAuth for AI agents.

Agents use `AgentGateClient`, developers `AgentGateAdmin`, services `AgentGateVerifier` or a guard from
`agentgate_oauth.integrations`. The name of each asynchronous version begins with `Async`.
"""

from . import rules
from ._api.tokens import question
from ._pkce import pkce_pair
from ._retry import RetryPolicy
from ._version import VERSION as __version__
from .admin import AgentGateAdmin, AsyncAgentGateAdmin
from .client import AgentGateClient, AsyncAgentGateClient
from .errors import (
    AgentGateError,
    ApiError,
    AuthorizationError,
    AuthorizationTimeoutError,
    ConnectionFailedError,
    ConsentDeniedError,
    RateLimitedError,
    ReservationDeniedError,
    SessionEndedError,
    StoreError,
    UnavailableError,
    UnexpectedResponseError,
)
from .models import (
    Agent,
    Approval,
    AuditEntry,
    Decision,
    Event,
    EventPage,
    Link,
    Page,
    PendingConsent,
    Policy,
    Replay,
    Rule,
    Simulation,
    Tokens,
)
from .reservations import AsyncReservation, Reservation
from .session import AsyncSession, Session
from .stores import FileStore, KeyringStore, MemoryStore, SessionRecord, SessionStore
from .verifier import AgentGateVerifier, AsyncAgentGateVerifier

__all__ = [
    "Agent",
    "AgentGateAdmin",
    "AgentGateClient",
    "AgentGateError",
    "AgentGateVerifier",
    "ApiError",
    "Approval",
    "AsyncAgentGateAdmin",
    "AsyncAgentGateClient",
    "AsyncAgentGateVerifier",
    "AsyncReservation",
    "AsyncSession",
    "AuditEntry",
    "AuthorizationError",
    "AuthorizationTimeoutError",
    "ConnectionFailedError",
    "ConsentDeniedError",
    "Decision",
    "Event",
    "EventPage",
    "FileStore",
    "KeyringStore",
    "Link",
    "MemoryStore",
    "Page",
    "PendingConsent",
    "Policy",
    "RateLimitedError",
    "Replay",
    "Reservation",
    "ReservationDeniedError",
    "RetryPolicy",
    "Rule",
    "Session",
    "SessionEndedError",
    "SessionRecord",
    "SessionStore",
    "Simulation",
    "StoreError",
    "Tokens",
    "UnavailableError",
    "UnexpectedResponseError",
    "__version__",
    "pkce_pair",
    "question",
    "rules",
]
