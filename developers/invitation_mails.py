"""The email that invites the owner of an address, who may have no account, to join an organization."""

from datetime import datetime

from django.utils.translation import gettext as _

from accounts.mail_text import Foreign, Words
from accounts.mails import Content, Item, Link, Occasion, mail
from core.formats import exactly
from developers.role_words import ALLOWED, NAMES

MAX_ADDRESS = 254


@mail("invitation")
def invitation(occasion: Occasion) -> Content:
    facts = occasion.facts
    organization, domain, role = Foreign(facts["organization"]), facts["domain"], facts["role"]
    text = _("You are invited to join %(organization)s on AgentGate.")
    by = _("%(inviter)s invites you to join %(organization)s on AgentGate.")
    inviter = Foreign(facts["inviter"])
    return Content(
        subject=_("You are invited to join an organization"),
        intro=[
            Words(by, inviter=inviter, organization=organization)
            if facts["inviter"]
            else Words(text, organization=organization),
            _("Your role there would let you do this:"),
        ],
        items=[Item(str(one)) for one in ALLOWED[role]],
        facts=[
            (_("Role"), str(NAMES[role])),
            (_("Verified domain"), Foreign(domain, most=MAX_ADDRESS) if domain else _("None")),
            (_("Invited address"), Foreign(occasion.to, most=MAX_ADDRESS)),
            (_("Open until"), exactly(datetime.fromisoformat(facts["until"]), "short")),
        ],
        call=[_("To accept, sign in with an account that has confirmed this address, or create one.")],
        button=Link.to(_("See the invitation"), "web:invitation", facts["invitation"]),
        after=[_("If you do not know the organization, ignore this email. Nothing happens unless you accept.")],
    )
