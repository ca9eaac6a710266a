"""An example of each email, with names that others chose badly on purpose."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from django.core.mail import EmailMultiAlternatives

from accounts.mails import Occasion, compose_mail, mails
from approvals.models import Approval
from consent.models import Consent
from developers.credential_mails import Made
from developers.roles import Role
from tests.approvals import make_approval
from tests.world import allow, ask, make_agent, make_developer, make_resource_server, make_user

AT = datetime(2026, 7, 1, 10, 0, 30, tzinfo=UTC)
ADA = "ada@example.com"
EVIL = 'evil.example/<b>"x"</b> www.evil.example eve@evil.example\r\nBcc: eve@evil.example'
CHROME = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36"
)
# Emails without a button: a code is entered where it was requested, and the last ones have no remedy on our pages.
WITHOUT_BUTTON = {
    "registration_code",
    "address_code",
    "address_taken to another address",
    "address_removed to the removed one",
    "address_changed to the old one",
    "account_erased",
    "member_removed",
}


def make_samples(*, name: str = "SmartMail") -> dict[str, tuple[str, Mapping[str, Any]]]:
    """Return the name and the facts of each email, by what is said of it. `name` is everything that others chose."""
    scenery = _Scenery(name)
    many = [*scenery.scopes, *scenery.scopes[:1] * 20, *scenery.scopes[1:2] * 40]
    addresses = {"address": "ada@work.example", "main": ADA}
    found = {
        "registration_code": {"code": "ABCDE-12345"},
        "address_code": {"code": "ABCDE-12345"},
        "address_taken": {"is_main": True},
        "address_taken to another address": {"is_main": False},
        "password_reset_key": {"password_reset_url": "http://localhost:8000/accounts/password/reset/key/1-x/"},
        "unknown_account": {},
        "password_changed": {},
        "security_changed": {"change": "passkey_added", "name": name},
        "security_changed by a code": {"change": "recovery_code_used", "left": 9},
        "new_device": {"user_agent": CHROME if name == "SmartMail" else name},
        "address_added": addresses,
        "address_removed": addresses,
        "address_removed to the removed one": {**addresses, "main": "other@example.com"},
        "address_changed": addresses,
        "address_changed to the old one": {**addresses, "main": "other@example.com"},
        "account_erased": {},
        "access_granted": {"consent": scenery.consent.id, "scopes": scenery.scopes, "user_agent": CHROME},
        "access_widened": {"consent": scenery.consent.id, "scopes": many, "delegation": True},
        "asks_less": {"approval": scenery.rule.id},
        "approval_requested": {"approval": scenery.payment},
        "approval_requested of an unproved caller": {"approval": scenery.letter},
        "approvals_held": {"agent": scenery.consent.agent, "number": 3},
        **{f"credential_made: {made}": {"made": made, "name": name, "uris": [name]} for made in Made},
        "organization_key_made": {
            "organizationId": "org_0",
            "organization": name,
            "name": name,
            "role": "Developer",
            "maker": ADA,
        },
        **{
            f"webhook_made: {made}": {
                "organizationId": "org_0",
                "organization": name,
                "host": f"{name}.example",
                "made": made,
                "maker": ADA if made == Made.WEBHOOK else "",
            }
            for made in (Made.WEBHOOK, Made.WEBHOOK_URL, Made.WEBHOOK_SECRET)
        },
        **{
            f"webhook_switched_off: {reason}": {
                "organizationId": "org_0",
                "organization": name,
                "webhookId": "whk_0000",
                "host": f"{name}.example",
                "reason": reason,
            }
            for reason in ("gone", "failing")
        },
        **{
            f"invitation as {role}": {
                "invitation": "inv_0000",
                "organization": name if name != "SmartMail" else "Acme Robotics",
                "domain": "" if role == Role.ADMIN else "acme.example",
                "role": role,
                "inviter": "" if role == Role.AUDITOR else name if name != "SmartMail" else "Grace Hopper",
                "until": (AT + timedelta(days=7)).isoformat(),
            }
            for role in Role
        },
        "domain_failing": {"organizationId": "org_0", "domain": name, "until": (AT + timedelta(days=3)).isoformat()},
        "domain_lost": {"organizationId": "org_0", "domain": name},
        **{
            f"member_role_changed: {role}": {"organizationId": "org_0", "organization": name, "role": role.value}
            for role in Role
        },
        **{
            kind: {"organizationId": "org_0", "organization": name, "email": ADA, "role": "admin"}
            for kind in ("member_joined", "member_raised")
        },
        "member_removed": {"organizationId": "org_0", "organization": name},
        "organization_stopped": {"organizationId": "org_0", "organization": name, "by": ADA, "reason": name},
        "organization_deleting": {
            "organizationId": "org_0",
            "organization": name,
            "by": ADA,
            "until": (AT + timedelta(days=7)).isoformat(),
        },
        "organization_restored": {"organizationId": "org_0", "organization": name, "by": ADA},
        "services_lost": {
            "organizationId": "org_0",
            "domain": name,
            "identifiers": [f"https://{name}.example/api"] * 10,
            "others": 2,
        },
    }
    return {key: (_mail_name(key), {"ip": "203.0.113.9", **facts}) for key, facts in found.items()}


def compose(sample: tuple[str, Mapping[str, Any]], *, language: str = "en") -> EmailMultiAlternatives:
    name, facts = sample
    return compose_mail(name, Occasion(ADA, AT, facts), language=language, zone="Europe/Berlin")


def html_of(message: EmailMultiAlternatives) -> str:
    """Return the HTML part of an email."""
    (part,) = message.alternatives
    assert part.mimetype == "text/html"
    return str(part.content)


def _mail_name(key: str) -> str:
    return next(name for name in sorted(mails, key=len, reverse=True) if key.startswith(name))


class _Scenery:
    consent: Consent
    rule: Approval
    payment: Approval
    letter: Approval

    def __init__(self, name: str) -> None:
        developer = make_developer("dev@acme.example", name if name != "SmartMail" else "Acme Robotics")
        organization = developer.organization
        organization.domain, organization.is_verified, organization.verified_with = "acme.example", True, "acme.example"
        organization.save()
        scopes = ["email:read", "email:send", "calendar:read", "payments:charge"]
        agent = make_agent(developer, name=name, allowed_scopes=scopes)
        self.consent = allow(ask(agent, scopes=scopes), make_user(ADA))
        Consent.objects.filter(pk=self.consent.pk).update(delegation="verified")
        shop = make_resource_server(developer, "https://shop.example/api", name="Acme Shop")
        pay = {"verb": "pay", "recipient": "shop.example", "amount": {"value": "19.90", "currency": "EUR"}}
        fields: dict[str, Any] = {"expires_at": AT + timedelta(hours=1), "now": AT}
        critical = {"scopes": ["payments:charge"], "asked_scopes": ["payments:charge"], **fields}
        self.payment = make_approval(
            self.consent, context={**pay, "invoice": "7"}, server_id=shop.server.id, **critical
        )
        self.letter = make_approval(self.consent, named_server_id=shop.server.id, **fields)
        evidence = {"perDay": 5}
        self.rule = make_approval(self.consent, context=pay, is_standing=True, evidence=evidence, **critical)
        self.scopes = [
            {"id": one["id"], "title": one["title"] if name == "SmartMail" else name, "riskLevel": one["riskLevel"]}
            for one in self.consent.shown_scopes
        ]
