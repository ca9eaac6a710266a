"""Every act that a person can do, and every door to it: pages, and endpoints with each credential that they take.

The doors of an act ask for the same step-up, write the same entry and send the same mail. `test_acts.py` tries each.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Credential = Literal["cookie", "session token", "API key"]
SESSIONS: tuple[Credential, ...] = ("cookie", "session token")
DEVELOPER: tuple[Credential, ...] = (*SESSIONS, "API key")


@dataclass(frozen=True)
class Door:
    """A path with names of `Scene.ids`. A page has a form, and an endpoint JSON. Endpoints are below /api/v1."""

    method: str
    path: str
    sent: Mapping[str, Any] = field(default_factory=dict)
    credentials: tuple[Credential, ...] = ("cookie",)
    is_page: bool = False

    def __str__(self) -> str:
        return f"{self.method} {'' if self.is_page else '/api/v1'}{self.path}"


@dataclass(frozen=True)
class Act:
    """What is done. `event` is its entry in the log. With `steps_up`, a session needs a recent sign-in.

    `mail` is the notice that the owner gets of what a session does. What an API key does is not mailed.
    """

    name: str
    event: str
    doors: tuple[Door, ...]
    steps_up: bool = False
    mail: str = ""


def page(path: str, **form: Any) -> Door:
    return Door("POST", path, form, is_page=True)


def developers(method: str, path: str, **body: Any) -> Door:
    return Door(method, path, body, credentials=DEVELOPER)


URI = "https://evil.example/callback"
SCOPES = ["email:read"]


def credential(name: str, event: str, *doors: Door) -> Act:
    """Return an act that makes what outlives the session."""
    return Act(name, event, doors, steps_up=True, mail="credential_made")


CREDENTIALS = (
    credential(
        "create an API key",
        "api_key.created",
        page("/developer/api-keys", name="laptop"),
        developers("POST", "/developers/api-keys", name="laptop"),
    ),
    credential(
        "rotate an API key",
        "api_key.rotated",
        page("/developer/api-keys/{key}/rotate", overlap_seconds="3600"),
        developers("POST", "/developers/api-keys/{key}/rotate", overlapSeconds=3600),
        developers("POST", "/developers/api-keys/rotate", overlapSeconds=3600),
    ),
    credential(
        "register an agent",
        "agent.created",
        page("/developer/agents/new", name="Bot", redirect_uris=URI, allowed_scopes=SCOPES),
        developers("POST", "/agents", name="Bot", redirectUris=[URI], allowedScopes=SCOPES),
    ),
    credential(
        "add a redirect URI",
        "agent.updated",
        page("/developer/agents/{agent}/edit", name="Bot", redirect_uris=URI, allowed_scopes=SCOPES),
        developers("PATCH", "/agents/{agent}", redirectUris=[URI]),
    ),
    credential(
        "create a client secret",
        "agent.secret_created",
        page("/developer/agents/{agent}/credentials", name="laptop"),
        developers("POST", "/agents/{agent}/secrets", name="laptop"),
    ),
    credential(
        "rotate a client secret",
        "agent.secret_rotated",
        page("/developer/agents/{agent}/credentials/{secret}/rotate", overlap_seconds="3600"),
        developers("POST", "/agents/{agent}/secrets/{secret}/rotate", overlapSeconds=3600),
        developers("POST", "/agents/{agent}/rotate-secret", overlapSeconds=3600),
    ),
    credential(
        "register a resource server",
        "resource_server.created",
        page("/developer/resource-servers/new", name="Notes", identifier="https://notes.example", shared=SCOPES),
        developers("POST", "/resource-servers", name="Notes", identifier="https://notes.example", scopes=SCOPES),
    ),
    credential(
        "rotate a resource server's secret",
        "resource_server.secret_rotated",
        page("/developer/resource-servers/{server}/rotate", overlap_seconds="3600"),
        developers("POST", "/resource-servers/{server}/rotate-secret", overlapSeconds=3600),
    ),
)


def users(method: str, path: str, **body: Any) -> Door:
    return Door(method, path, body, credentials=SESSIONS)


DOWNLOADS = (
    Act("download one's data", "user.data_exported", (page("/account/data/export"),), steps_up=True),
    Act(
        "download one's log",
        "audit.exported",
        (page("/activity.csv"), page("/activity.json"), users("GET", "/users/me/audit-export")),
        steps_up=True,
    ),
    Act(
        "download the log of a connection",
        "audit.exported",
        (users("GET", "/users/me/consents/{consent}/evidence"),),
        steps_up=True,
    ),
    Act(
        "download the log of an organization",
        "audit.exported",
        (page("/developer/logs.csv"), page("/developer/logs.json"), developers("GET", "/audit/export")),
        steps_up=True,
    ),
)
# Pages that ask for the password, and then lead to a download of the API.
LEADS = (
    "/activity/evidence",
    "/connections/{consent}/evidence",
    "/developer/logs/evidence",
)

ACTS = (*CREDENTIALS, *DOWNLOADS)
