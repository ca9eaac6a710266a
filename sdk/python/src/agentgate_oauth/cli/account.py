"""Sign in and out, and show who is signed in."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from ..errors import AuthenticationError, KeyLimitedError
from ..models import NamedOrganization, Organization, UserSession
from . import connection
from .names import with_id
from .options import chosen
from .output import minute, print_facts, print_line, show
from .signin import SignIn, delete_sign_in, sign_in_file, store_sign_in, stored_sign_in


def login(
    email: Annotated[
        str | None, typer.Option(metavar="EMAIL", help="Your email address. Prompted for if left out.")
    ] = None,
) -> None:
    """Sign in for 12 hours.

    The password comes from AGENTGATE_PASSWORD, a hidden prompt or standard input. If the account has an
    authenticator app, its code comes from AGENTGATE_CODE or a prompt. The session is stored in a file that
    only you can read.
    """
    address = email or typer.prompt("Email", err=True)
    with connection.visitor() as api:
        session = _sign_in(api, address, connection.read_secret("Password", "AGENTGATE_PASSWORD"))
    stored = store_sign_in(session, url=connection.url(), allow_http=connection.http_allowed())
    text = f"Signed in to {stored.url} as {stored.email} until {stored.expires_at:%Y-%m-%d %H:%M} UTC."
    facts = {"url": stored.url, "user": _user(stored), "expiresAt": stored.expires_at}
    show(facts, lambda: print_line(text))
    if connection.api_key() and not chosen.json:
        typer.echo("AGENTGATE_API_KEY is set, and takes precedence over the sign-in.", err=True)


def logout() -> None:
    """End the session, here and at AgentGate."""
    sign_in = stored_sign_in()
    if sign_in is not None:
        connection.end_session(sign_in)
        delete_sign_in()
    show(
        {"signedOut": sign_in is not None},
        lambda: print_line("Signed out." if sign_in else "You were not signed in."),
    )


def whoami() -> None:
    """Show the server, the organization and your role in it, and the credential in use."""
    facts = _key_in_use() if connection.api_key() else _session_in_use()
    show(facts, lambda: _print_identity(facts))


def _sign_in(api: connection.Visitor, email: str, password: str) -> UserSession:
    """Sign in with the password, and with a code if the account needs one."""
    try:
        return api.sign_in(email, password)
    except AuthenticationError as error:
        code = connection.read_code() if error.code == "second_factor_required" else ""
        if not code:
            raise
    return api.sign_in(email, password, code)


def _key_in_use() -> dict[str, Any]:
    """Return what the API key acts for. One that is limited to some agents cannot read its organization."""
    used: Organization | None = None
    limit = ""
    with connection.admin() as api:
        try:
            used = api.get_organization()
        except KeyLimitedError as error:
            limit = f". {error.detail}"
    organization = NamedOrganization(used.id, used.name, used.domain, used.verified) if used else None
    developer = {"id": used.member_id if used else None}
    credential = f"API key from AGENTGATE_API_KEY{limit}"
    return _identity(organization, used.role if used else None, developer, credential)


def _session_in_use() -> dict[str, Any]:
    sign_in = connection.live_sign_in()
    with connection.user() as api:
        mine = api.list_organizations()
    wanted = connection.organization(sign_in)
    chosen_one = [one for one in mine if one.organization.id == wanted]
    used = chosen_one[0] if chosen_one else mine[0] if wanted is None and len(mine) == 1 else None
    developer = {**_user(sign_in), "id": used.member_id if used else None}
    organization, role = (used.organization, used.role) if used else (None, None)
    credential = f"session in {sign_in_file()}"
    return {**_identity(organization, role, developer, credential), "expiresAt": sign_in.expires_at}


def _identity(
    organization: NamedOrganization | None, role: str | None, developer: dict[str, Any], credential: str
) -> dict[str, Any]:
    facts = {"organization": organization, "role": role, "developer": developer}
    return {"url": connection.url(), **facts, "credential": credential}


def _user(sign_in: SignIn) -> dict[str, Any]:
    return {"id": sign_in.id, "name": sign_in.name, "email": sign_in.email}


def _print_identity(facts: dict[str, Any]) -> None:
    organization, expires_at = facts["organization"], facts.get("expiresAt")
    nothing = "unknown" if connection.api_key() else "none in use"
    print_facts(
        server=facts["url"],
        organization=with_id(organization) if organization else nothing,
        role=facts["role"] or nothing,
        developer=[value for value in facts["developer"].values() if value] or "none",
        credential=facts["credential"],
        **({"until": minute(expires_at)} if expires_at else {}),
    )
