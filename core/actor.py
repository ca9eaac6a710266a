"""Who acts, and from where: every write is told, and the log records it."""

from dataclasses import dataclass, field, replace
from typing import Literal

Kind = Literal["user", "developer", "agent", "service", "administrator", "system", "anonymous"]


@dataclass(frozen=True, slots=True)
class Actor:
    """The one who acts. `id` is a prefixed id, None for anonymous callers and for the system.

    `account_state` stands for the account as it was when the credential was checked; a write that must not outlive a
    reset of the password compares it with the account as it is then (`developers.services.hold_developer`).
    """

    kind: Kind
    id: str | None = None
    ip: str | None = None
    user_agent: str = ""
    request_id: str = ""
    account_state: str = field(default="", repr=False)

    def acting_as(self, kind: Kind, actor_id: str, *, account_state: str = "") -> "Actor":
        """Return the same origin under another identity, once a credential has been checked."""
        return replace(self, kind=kind, id=actor_id, account_state=account_state)


SYSTEM = Actor("system")
