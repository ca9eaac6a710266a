"""Move token families when their consent is replaced, and take from them the scopes that the user takes back."""

from collections.abc import Sequence
from typing import Any

from django.dispatch import receiver

from consent.models import Consent
from consent.signals import consent_narrowed, consent_replaced
from tokens.models import TokenFamily


@receiver(consent_replaced)
def move_families(*, replaced: Consent, replacement: Consent, **kwargs: Any) -> None:
    """Move the families of a replaced consent to its replacement.

    Each keeps the scopes of its own request, without those that the user has taken back.
    """
    rows = TokenFamily.objects.filter(consent=replaced)
    if set(replaced.granted_scopes) <= set(replacement.granted_scopes):
        # Nothing is taken back. The caller has locked the user, so nothing else locks several of these families.
        rows.update(consent=replacement)
        return
    _move(list(rows.select_for_update(no_key=True).order_by("id")), replacement)


@receiver(consent_narrowed)
def narrow_families(*, consent: Consent, removed: Sequence[str], **kwargs: Any) -> None:
    """Take the removed scopes from the families, so that granting one again does not return it to earlier devices."""
    if not removed:
        return
    rows = TokenFamily.objects.filter(consent=consent)
    _move(list(rows.select_for_update(no_key=True).order_by("id")), consent)


def _move(families: list[TokenFamily], target: Consent) -> None:
    for family in families:
        removed = {scope for scope in family.scope.split() if scope not in target.granted_scopes}
        family.consent = target
        family.removed_scopes = sorted({*family.removed_scopes, *removed})
    TokenFamily.objects.bulk_update(families, ["consent", "removed_scopes"])
