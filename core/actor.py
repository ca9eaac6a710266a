"""The actor of a request and its origin. Every write takes one, and the audit log records it."""

from datetime import datetime
from typing import Literal, NamedTuple

Kind = Literal["user", "developer", "api_key", "agent", "service", "administrator", "system", "anonymous"]


class Actor(NamedTuple):
    """An identity and its origin. `id` is a prefixed id, or None for anonymous callers and the system.

    `account_state` is a digest of the account, taken when the credential was checked. Writes that must not outlive a
    password reset compare it with the current one (`developers.acting.hold_developer`). `by_session` is true for a
    developer with a session of a browser or of the API, and `signed_in_at` is when its user last proved who they are,
    or None if that is unknown. `api_key_id` is the API key of a developer who sent one: it too may end meanwhile.
    `role` is what a developer or a key of an organization could do when the credential was checked.
    An actor of the kind `api_key` is a key that belongs to an organization, not to one of its developers.
    """

    kind: Kind
    id: str | None = None
    ip: str | None = None
    user_agent: str = ""
    request_id: str = ""
    account_state: str = ""
    by_session: bool = False
    signed_in_at: datetime | None = None
    api_key_id: str = ""
    role: str = ""

    def __repr__(self) -> str:
        """Leave out `account_state`, which must not appear in a log, and what is about the session."""
        shown = ", ".join(f"{name}={value!r}" for name, value in zip(self._fields[:5], self[:5], strict=True))
        return f"Actor({shown})"

    def acting_as(self, kind: Kind, actor_id: str, *, account_state: str = "") -> "Actor":
        """Return an actor with this identity and the same origin. Check the credential first."""
        return Actor(kind, actor_id, self.ip, self.user_agent, self.request_id, account_state)


SYSTEM = Actor("system")
