"""Approvals as verify creates them, without verify."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from approvals.models import Approval
from consent.models import Consent
from core import clock
from core.secrets import digest

Asks = Callable[..., Approval]
EMAIL = {"verb": "Send an email", "recipient": "bob@example.com", "text": "Hello Bob"}


def make_approval(consent: Consent, **fields: Any) -> Approval:
    """Return a pending approval of a request to send an email under the consent."""
    now = fields.pop("now", None) or clock.now()
    number = str(Approval.objects.count())
    return Approval.objects.create(
        **{
            "consent": consent,
            "user_id": consent.user_id,
            "agent": consent.agent,
            "organization_id": consent.agent.organization_id,
            "digest": digest(number),
            "target_digest": digest(f"target {number}"),
            "scopes": ["email:send"],
            "asked_scopes": ["email:send"],
            "resource": "",
            "context": EMAIL,
            "created_at": now,
            "expires_at": now + timedelta(hours=1),
            **fields,
        }
    )
