"""The emails about an account itself: codes, sign-ins, addresses, the password and second factors."""

from django.conf import settings
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as lazy

from accounts.mail_text import Foreign, Words
from accounts.mails import Content, Link, Occasion, mail
from core.user_agents import common_device_in_words, device_in_words

# What `security_changed` tells of, by its fact `change`.
CHANGES = {
    "passkey_added": lazy("A passkey was added to your account"),
    "passkey_removed": lazy("A passkey was removed from your account"),
    "totp_added": lazy("An authenticator app was added to your account"),
    "totp_removed": lazy("The authenticator app was removed from your account"),
    "recovery_codes_created": lazy("Your account has new recovery codes"),
    "recovery_code_used": lazy("A recovery code was used for your account"),
    "second_factors_removed": lazy("An administrator removed the second factors of your account"),
    "grant_mails": lazy("Emails about new access of agents were switched off"),
    "device_mails": lazy("Emails about sign-ins with a new browser or program were switched off"),
}


def reset_link() -> Link:
    return Link.to(_("Reset your password"), "account_reset_password")


def checks() -> list[Link]:
    """Return what to check after a reset, because it does not end it."""
    return [
        Link.to(_("Check your passkeys and authenticator app, which still work after a reset"), "web:security"),
        Link.to(_("Check your email addresses"), "account_email"),
    ]


def origin(occasion: Occasion) -> list[tuple[str, str]]:
    """Return when something happened, and where from."""
    device = device_in_words(occasion.facts.get("user_agent", ""))
    known = [(_("Browser or program (as reported)"), Foreign(device))] if device else []
    where = Words(_("IP address %(ip)s"), ip=occasion.ip) if occasion.ip else _("An unknown address")
    return [(_("When"), occasion.when), *known, (_("Where"), where)]


def not_you() -> list[str]:
    return [_("If this was not you, reset your password now. This also ends all other sessions.")]


@mail("registration_code")
def registration_code(occasion: Occasion) -> Content:
    return Content(
        subject=_("Your code to create your account"),
        intro=[
            _("Someone, probably you, asked to create an AgentGate account with this address."),
            _("To create it, enter this code where you registered. It works once and expires after 15 minutes."),
        ],
        code=occasion.facts["code"],
        facts=origin(occasion),
        after=[
            _("If this was not you, or the time does not match, ignore this email and do not share the code."),
            _("Without the code, no account is created."),
        ],
    )


@mail("address_code")
def address_code(occasion: Occasion) -> Content:
    return Content(
        subject=_("Your code to confirm this email address"),
        intro=[
            _("Someone, probably you, asked to confirm this address for an AgentGate account."),
            _("Enter this code on the page that asked for it. It works once and expires after 15 minutes."),
        ],
        code=occasion.facts["code"],
        facts=origin(occasion),
        after=[_("If this was not you, ignore this email and do not share the code.")],
    )


@mail("address_taken")
def address_taken(occasion: Occasion) -> Content:
    is_main = occasion.facts["is_main"]
    use = _("You can sign in, or become a developer with your existing account.")
    useless = _(
        "It is not the primary address of that account. Only the primary address can be used to sign in and to reset "
        "the password."
    )
    return Content(
        subject=_("You already have an account"),
        intro=[
            _("Someone, probably you, entered this address for an AgentGate account."),
            _("It already belongs to an account, so nothing was changed."),
        ],
        facts=origin(occasion),
        call=[use if is_main else useless],
        button=Link.to(_("Sign in"), "account_login") if is_main else None,
        after=[_("If this was not you, ignore this email.")],
        links=[Link.to(_("Reset a forgotten password"), "account_reset_password")] if is_main else [],
    )


@mail("password_reset_key")
def password_reset_key(occasion: Occasion) -> Content:
    return Content(
        subject=_("Reset your password"),
        intro=[
            _("Someone, probably you, asked to reset the password of your AgentGate account."),
            _("The link works once and expires after one hour."),
        ],
        button=Link(_("Choose a new password"), occasion.facts["password_reset_url"]),
        facts=origin(occasion),
        after=[_("If this was not you, ignore this email. Your password stays the same.")],
    )


@mail("unknown_account")
def unknown_account(occasion: Occasion) -> Content:
    none = _("No active AgentGate account has %(address)s as its primary address.")
    return Content(
        subject=_("We could not reset your password"),
        intro=[
            _("Someone, probably you, asked to reset the password of an AgentGate account with this address."),
            Words(none, address=Foreign(occasion.to, most=254)),
        ],
        call=[
            _("If your account has another primary address, reset the password with that one."),
            _("If your account was deactivated, contact the administrator of this site."),
        ],
        button=Link.to(_("Create an account"), "account_signup"),
        facts=origin(occasion),
        after=[_("If this was not you, ignore this email.")],
    )


@mail("password_changed")
def password_changed(occasion: Occasion) -> Content:
    return Content(
        subject=_("Your password was changed"),
        intro=[_("The password of your AgentGate account was changed. All other sessions have ended.")],
        facts=origin(occasion),
        call=[_("If this was not you, reset your password now.")],
        button=reset_link(),
        links=checks(),
    )


@mail("security_changed")
def security_changed(occasion: Occasion) -> Content:
    change, name, left = (occasion.facts.get(key) for key in ("change", "name", "left"))
    named = [(_("Name"), Foreign(name))] if name else []
    codes = [(_("Unused recovery codes"), str(left))] if left is not None else []
    where = origin(occasion) if occasion.ip else origin(occasion)[:1]
    return Content(
        subject=str(CHANGES.get(str(change), change)),
        facts=[*named, *codes, *where],
        call=[_("If this was not you, reset your password now. This ends all sessions.")],
        button=reset_link(),
        links=checks(),
    )


@mail("new_device")
def new_device(occasion: Occasion) -> Content:
    device = common_device_in_words(occasion.facts.get("user_agent", ""))
    named = _("New sign-in: %(device)s") % {"device": device}
    return Content(
        subject=named if device else _("Sign-in with a new browser or program"),
        intro=[_("Someone signed in to your AgentGate account with a new browser or program.")],
        facts=origin(occasion),
        call=[_("If this was you, you can ignore this email."), *not_you()],
        button=reset_link(),
        links=[Link.to(_("Look at your sessions"), "web:sessions")],
        ends=True,
    )


@mail("address_added")
def address_added(occasion: Occasion) -> Content:
    return Content(
        subject=_("An email address was added to your account"),
        facts=[(_("Address"), _address(occasion)), *origin(occasion)],
        call=not_you(),
        button=reset_link(),
        links=checks(),
    )


@mail("address_removed")
def address_removed(occasion: Occasion) -> Content:
    return _to_both(occasion, _("An email address was removed from your account"))


@mail("address_changed")
def address_changed(occasion: Occasion) -> Content:
    only = _("Only the primary address can be used to sign in and to reset the password.")
    return _to_both(occasion, _("The primary email address of your account was changed"), only)


@mail("account_erased")
def account_erased(occasion: Occasion) -> Content:
    return Content(
        subject=_("Your account was erased"),
        intro=[
            _("Your AgentGate account and its data were erased."),
            _("Agents that you allowed can no longer act for you."),
        ],
        facts=origin(occasion)[:1],
        call=[
            Words(_("If this was not you, contact the administrator of %(site)s."), site=settings.API_URL),
            _("The account cannot be restored."),
        ],
    )


def _to_both(occasion: Occasion, subject: str, *more: str) -> Content:
    """Return the email to the primary address, whose owner can reset the password, and to another, which cannot."""
    facts = [(_("Address"), _address(occasion)), *origin(occasion)]
    if occasion.to == occasion.facts["main"]:
        return Content(subject=subject, intro=more, facts=facts, call=not_you(), button=reset_link(), links=checks())
    helped = [
        Words(_("If this was not you, contact the administrator of %(site)s now."), site=settings.API_URL),
        _("You cannot reset the password from this address: only the primary address can be used for that."),
    ]
    return Content(subject=subject, intro=more, facts=facts, call=helped)


def _address(occasion: Occasion) -> Foreign:
    return Foreign(occasion.facts["address"], most=254)
