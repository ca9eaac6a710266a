"""The end of what a restored database revives: it has everything that was used, ended or denied since the backup.

The order matters. Without sessions and requests that wait, nothing is approved any more. Each change waits for the
transactions that hold its rows, so codes end after the approvals in progress, and families after the exchanges in
progress, which hold the rows of their codes: no token escapes.
"""

from dataclasses import dataclass

from allauth.mfa.models import Authenticator
from django.contrib.auth.hashers import UNUSABLE_PASSWORD_PREFIX, make_password
from django.db import transaction

from accounts.models import User
from accounts.services import lock_user
from accounts.session_ends import end_all_sessions
from approvals.endings import end_all_approvals
from audit.entries.drafts import Draft
from audit.events import Event
from audit.services import record
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


def end_all_passwords(*, actor: Actor, reason: str) -> int:
    """End the password and the second factors of each user. Return the number of users."""
    users = User.objects.exclude(password__startswith=UNUSABLE_PASSWORD_PREFIX).values_list("pk", flat=True)
    return sum(_end(user_id, actor, reason) for user_id in list(users))


@transaction.atomic
def _end(user_id: str, actor: Actor, reason: str) -> bool:
    held = lock_user(user_id)
    if held is None:
        return False
    held.password = make_password(None)
    held.save(update_fields=["password"])
    Authenticator.objects.filter(user=held).delete()
    metadata = {"method": "restore", "reason": reason}
    record(Draft(event=Event.USER_PASSWORD_CHANGED, actor=actor, user_id=held.id, metadata=metadata))
    return True
