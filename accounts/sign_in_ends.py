"""End all passwords and second factors of a restored database, which still has those that users have since replaced."""

from allauth.mfa.models import Authenticator
from django.contrib.auth.hashers import UNUSABLE_PASSWORD_PREFIX, make_password
from django.db import transaction

from accounts.models import User
from accounts.services import lock_user
from audit.entries.drafts import Draft
from audit.events import Event
from audit.services import record
from core.actor import Actor


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
