"""Erase a user: end the account and everything that it allows, and leave no personal data.

The rows of the user, the connections and the tokens remain, because the log names them by id. The log's personal data
is encrypted, and its key is destroyed (`audit.entries.personal_keys`).
"""

from collections.abc import Collection, Sequence
from itertools import batched
from secrets import token_hex

from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from django.contrib.admin.models import LogEntry
from django.contrib.auth.hashers import make_password
from django.db import transaction
from django.db.models import F

from accounts.errors import AdministratorAccount
from accounts.mails import send_mail
from accounts.models import (
    AddressCode,
    BrowserSession,
    KnownAddress,
    KnownDevice,
    Notice,
    PendingRegistration,
    SessionToken,
    User,
)
from accounts.services import hold_account
from accounts.signals import account_erased
from audit.entries.drafts import Draft
from audit.entries.personal_keys import destroy_keys
from audit.events import Event
from audit.services import record
from core import clock, idempotency
from core.actor import Actor
from core.locks import revocation
from core.sqlite import empty_wal
from limits.reservations import erase_reservations

PLACEHOLDER_DOMAIN = "erased.invalid"
SUBJECTS_PER_ENTRY = 500


def erase_user(*, actor: Actor, user: User) -> bool:
    """Erase the user's personal data, and end everything that they allow. Return False if they were already erased.

    Every verify request that starts after this returns is denied for them. Erasing the user again removes what a
    request in progress has left. Raises `AdministratorAccount` for an administrator, and `NotAuthenticated` if the user
    asks and the account has changed since they signed in.
    """
    actor = actor._replace(ip=None, user_agent="")
    addresses = _addresses_of(user)
    answers = idempotency.find_records_naming([user.id, *addresses])
    with revocation():
        held = _hold(user, actor)
        if held.is_staff or held.is_superuser:
            raise AdministratorAccount
        now, addresses = clock.now(), addresses | _addresses_of(held)
        is_first = held.erased_at is None
        if is_first:
            answered = account_erased.send(sender=User, user=held, actor=actor, now=now)
            _record_erasure(held, actor, [subject for _, subjects in answered for subject in subjects or ()])
            send_mail("account_erased", user=held, actor=actor)
        _delete_rows(held, addresses)
        idempotency.delete_records(answers)
        if is_first:
            _anonymize(held)
            User.objects.filter(pk=held.pk).update(erased_at=now)
        destroy_keys([held.id])
        transaction.on_commit(empty_wal, robust=True)
    return is_first


def _record_erasure(user: User, actor: Actor, subjects: Sequence[str]) -> None:
    """Log the erasure, and which keys besides the user's own it destroys. Keys are destroyed for no other reason.

    A user can have many requests, so the size of each entry is bounded.
    """
    for some in batched(subjects, SUBJECTS_PER_ENTRY) if subjects else ((),):
        metadata = {"subjects": list(some)} if some else {}
        record(Draft(event=Event.USER_ERASED, actor=actor, user_id=user.id, metadata=metadata))


def _hold(user: User, actor: Actor) -> User:
    """Lock the account. A request authenticated before a password reset must not erase it."""
    if actor.kind == "user":
        return hold_account(user)
    held: User = User.objects.select_for_update(no_key=True, of=("self",)).get(pk=user.pk)
    return held


def _addresses_of(user: User) -> set[str]:
    return {user.email, *EmailAddress.objects.filter(user=user).values_list("email", flat=True)}


def _delete_rows(user: User, addresses: Collection[str]) -> None:
    for owned in (SessionToken, AddressCode, KnownAddress, KnownDevice, Notice, EmailAddress, Authenticator):
        owned._default_manager.filter(user=user).delete()
    BrowserSession.objects.filter(user_id=user.id).delete()
    for addressed in (PendingRegistration, Notice):
        addressed._default_manager.filter(email__in=addresses).delete()
    erase_reservations(user.id)
    # The admin site's own log stores the text of each row, which for users and developers is the email address.
    named = LogEntry.objects.filter(object_id=user.id) | LogEntry.objects.filter(object_repr__in=addresses)
    named.update(object_repr=F("object_id"))


def _anonymize(user: User) -> None:
    """Replace what identifies the user. The new password hash matches no password."""
    User.objects.filter(pk=user.pk).update(
        email=f"{token_hex(16)}@{PLACEHOLDER_DOMAIN}",
        name="",
        time_zone="",
        language="",
        theme="",
        password=make_password(None),
        is_active=False,
        last_login=None,
    )
    user.groups.clear()
    user.user_permissions.clear()
