"""The end of what a restored database revives: it has everything that was used, ended or denied since the backup.

The order matters. Without sessions and requests that wait, nothing is approved any more. Each change waits for the
transactions that hold its rows, so codes end after the approvals in progress, and families after the exchanges in
progress, which hold the rows of their codes: no token escapes.
"""

from dataclasses import dataclass

from accounts.session_ends import end_all_sessions
from accounts.sign_in_ends import end_all_passwords
from approvals.endings import end_all_approvals
from consent.codes import end_unused_codes
from consent.services import end_all_requests
from core.actor import Actor
from tokens.families import end_all_families


@dataclass(frozen=True, slots=True)
class Ended:
    """How many of each have ended. `accounts` are those whose password and second factors have."""

    sessions: int
    requests: int
    codes: int
    connections: int
    approvals: int
    accounts: int


def end_what_was_restored(*, actor: Actor, reason: str, with_passwords: bool) -> Ended:
    """End everything that acts for a user without asking them again. Repeat it if it was interrupted.

    With `with_passwords`, end the passwords and second factors, too: each user must set a new password by mail.
    """
    accounts = end_all_passwords(actor=actor, reason=reason) if with_passwords else 0
    return Ended(
        sessions=end_all_sessions(actor=actor, reason=reason),
        requests=end_all_requests(),
        codes=end_unused_codes(),
        connections=end_all_families(actor=actor, reason=reason),
        approvals=end_all_approvals(actor=actor, reason=reason),
        accounts=accounts,
    )
