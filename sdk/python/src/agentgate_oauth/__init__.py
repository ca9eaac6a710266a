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
    DelegationNotAllowedError,
    RateLimitedError,
    ReservationDeniedError,
    SessionEndedError,
    StoreError,
    UnavailableError,
    UnexpectedDelegationError,
    UnexpectedResponseError,
)
from .models import (
    Agent,
    Approval,
    AuditEntry,
    Decision,
    Delegation,
    Event,
    EventPage,
    Link,
    NewDelegation,
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
    "Delegation",
    "DelegationNotAllowedError",
    "Event",
    "EventPage",
    "FileStore",
    "KeyringStore",
    "Link",
    "MemoryStore",
    "NewDelegation",
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
    "UnexpectedDelegationError",
    "UnexpectedResponseError",
    "__version__",
    "pkce_pair",
    "question",
    "rules",
]
