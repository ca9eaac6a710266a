"""What an organization says about itself, which the consent screen shows: its name, terms and contact."""

from collections.abc import Mapping

from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import transaction
from django.utils.translation import gettext_noop

from audit.entries.drafts import Draft
from audit.events import Event
from audit.services import record
from core.actor import Actor
from core.errors import FieldError, Invalid
from core.links import problem_with_link
from core.locks import hold_decisions
from core.names import check_name
from core.text import plain_text
from developers.acting import hold_developer, require_recent_session
from developers.models import DomainClaim, Organization
from limits.throttle import Subject, Throttle

CHANGES = "20/day"
MAX_NAME = 200
MAX_EMAIL = 254


def update_organization(
    *,
    actor: Actor,
    organization: Organization,
    name: str,
    terms_url: str | None = None,
    contact_email: str | None = None,
) -> bool:
    """Change what the organization says about itself. None changes nothing. Return False if that was the same before.

    Administrators verify an organization under its name. Under another name, it is not verified, and has not asked to
    be: an administrator must look again.
    Raises `Invalid`, `Throttled`, and `ReauthenticationRequired` unless the sign-in is recent.
    """
    given = {"name": plain_text(name), "terms_url": terms_url, "contact_email": contact_email}
    wanted = {field: value for field, value in given.items() if value is not None}
    _check(wanted)
    check_name(wanted["name"])
    require_recent_session(actor)
    Throttle("organization", CHANGES).hit(Subject(f"organization:{organization.id}"))
    with transaction.atomic():
        hold_developer(actor)
        held = Organization.objects.select_for_update(no_key=True).get(pk=organization.pk)
        changes: dict[str, object] = {field: value for field, value in wanted.items() if getattr(held, field) != value}
        if not changes:
            return False
        was_verified = held.is_verified
        if "name" in changes:
            changes |= {"is_verified": False, "verified_with": None}
            DomainClaim.objects.filter(organization=held).update(review_asked_at=None)
        Organization.objects.filter(pk=held.pk).update(**changes)
        ends_verification = was_verified and "name" in changes
        _record(actor, held, changes, ends_verification=ends_verification)
        if ends_verification:
            hold_decisions()
    return True


def _check(wanted: Mapping[str, str]) -> None:
    problems = {
        "name": _problem_with_name(wanted["name"]),
        "terms_url": problem_with_link(wanted["terms_url"]) if wanted.get("terms_url") else None,
        "contact_email": _problem_with_email(wanted["contact_email"]) if wanted.get("contact_email") else None,
    }
    errors = tuple(FieldError(field, problem) for field, problem in problems.items() if problem)
    if errors:
        raise Invalid(gettext_noop("A value is not valid."), errors=errors)


def _problem_with_name(name: str) -> str | None:
    return None if 0 < len(name) <= MAX_NAME else gettext_noop("Must have 1 to 200 characters.")


def _problem_with_email(email: str) -> str | None:
    try:
        validate_email(email)
    except ValidationError:
        return gettext_noop("Must be an email address.")
    if len(email) > MAX_EMAIL or not email.isascii() or not email.isprintable():
        return gettext_noop("Must be an email address in ASCII, of at most 254 characters.")
    return None


def _record(actor: Actor, before: Organization, changes: dict[str, object], *, ends_verification: bool) -> None:
    """Log the names, which can be those of a person, as personal data."""
    said = [field for field in ("name", "terms_url", "contact_email") if field in changes]
    names = {"previousName": before.name, "name": changes["name"]} if "name" in changes else {}
    metadata = {"changed": said, "endsVerification": ends_verification}
    draft = Draft(Event.ORGANIZATION_UPDATED, actor, organization_id=before.id, metadata=metadata, personal=names)
    record(draft)
