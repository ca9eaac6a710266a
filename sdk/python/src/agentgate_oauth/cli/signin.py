"""The stored sign-in, in a file that only its owner can read."""

from __future__ import annotations

import contextlib
import json
import os
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path

import typer

from .._decode import parse_time, reader
from .._json import read_json
from ..errors import UnexpectedResponseError
from ..models import UserSession
from ..stores._files import make_private_directory, read_private, write_private
from .failures import Failure


@dataclass(frozen=True)
class SignIn:
    """A user's session, its server, and the organization that the user chose. None for their only one."""

    url: str
    allow_http: bool
    token: str
    expires: str
    id: str
    name: str
    email: str
    organization: str | None = None

    @property
    def expires_at(self) -> datetime:
        return parse_time(self.expires)


def store_sign_in(session: UserSession, *, url: str, allow_http: bool) -> SignIn:
    """Store the session. A user who signs in again keeps the organization that they have chosen."""
    earlier = stored_sign_in()
    is_again = earlier is not None and (earlier.url, earlier.id) == (url, session.id)
    sign_in = SignIn(
        url=url,
        allow_http=allow_http,
        token=session.session_token,
        expires=session.expires_at.isoformat(),
        id=session.id,
        name=session.name,
        email=session.email,
        organization=earlier.organization if earlier and is_again else None,
    )
    _write(sign_in)
    return sign_in


def choose_organization(sign_in: SignIn, organization_id: str) -> None:
    """Store the organization that later commands act for."""
    _write(replace(sign_in, organization=organization_id))


def stored_sign_in() -> SignIn | None:
    """Return the stored sign-in, None if there is none. Raises Failure if the file is damaged."""
    text = read_private(sign_in_file())
    sign_in = None if text is None else _parse(text)
    if text is not None and sign_in is None:
        hint = "Delete the file, then sign in with: agentgate login"
        raise Failure("damaged_file", f"{sign_in_file()} does not contain a sign-in.", hint=hint)
    return sign_in


def delete_sign_in() -> None:
    sign_in_file().unlink(missing_ok=True)


def sign_in_file() -> Path:
    directory = os.environ.get("AGENTGATE_CONFIG_DIR") or typer.get_app_dir("agentgate")
    return make_private_directory(Path(directory)) / "session.json"


def _write(sign_in: SignIn) -> None:
    write_private(sign_in_file(), json.dumps(asdict(sign_in)))


def _parse(text: str) -> SignIn | None:
    with contextlib.suppress(ValueError, UnexpectedResponseError):
        sign_in = reader(SignIn, naming=str)(read_json(text.encode()))
        parse_time(sign_in.expires)
        return sign_in
    return None
