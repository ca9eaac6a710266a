"""Register, update, stop and authenticate agents. `client_secrets` handles additional secrets."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils.translation import gettext_noop

from agents.emergency import require_running
from agents.errors import AgentSuspended, InvalidClient
from agents.links import check_links
from agents.models import Agent
from agents.redirect_changes import added_uris, drop_reclaimed_uris, remember_uris
from agents.redirects import MAX_REDIRECT_URIS, problem_with
from agents.selectors import agents_for_organization, all_agents_of_organization, find_client_secret
from agents.stops import Stopper
from audit.entries.drafts import Draft
from audit.events import Event
from audit.services import record
from core import clock
from core.actor import Actor
from core.errors import FieldError, Invalid, NotFound, Throttled
from core.locks import revocation
from core.names import check_name
from core.rotation import add_secret, note_use
from core.wording import Filled
from developers.acting import hold_developer, maker, require_recent_session
from developers.credential_mails import Made, mail_about_credential
from developers.errors import OrganizationStopped, OrganizationSuspended
from developers.models import Organization
from developers.services import hold_organizations
from limits.throttle import Subject, Throttle, throttle_client_failure
from resources.catalogue import require_known

EDITABLE = frozenset({"name", "description", "redirect_uris", "allowed_scopes", "require_pkce", "status"})
EDITABLE |= {"homepage_url", "privacy_url"}


MAX_AGENTS = 1000
# Deleted agents stay in the database, and pages about the whole organization read them.
MAX_DELETED, DELETED_WITHIN = 1000, timedelta(days=30)


@dataclass(frozen=True, slots=True)
class RegisteredAgent:
    """A new agent and its first secret, which cannot be read again."""

    agent: Agent
    client_secret: str

    def __repr__(self) -> str:
        return f"RegisteredAgent({self.agent.id})"


@transaction.atomic
def register_agent(
    *,
    actor: Actor,
    organization: Organization,
    name: str,
    redirect_uris: Sequence[str],
    allowed_scopes: Sequence[str],
    description: str = "",
    require_pkce: bool = False,
) -> RegisteredAgent:
    """Create a confidential agent.

    Raises `InvalidScope` for an unknown scope, `Invalid` for a redirect URI that cannot be registered and for more than
    `MAX_AGENTS` agents, `Throttled` if the organization has deleted `MAX_DELETED` within `DELETED_WITHIN`, and
    `ReauthenticationRequired` if the actor has not signed in recently.
    """
    hold_developer(actor)
    require_recent_session(actor)
    require_known(allowed_scopes, field="allowedScopes")
    check_redirect_uris(redirect_uris)
    check_name(name)
    _require_room(organization)
    agent = Agent.objects.create(
        organization=organization,
        name=name,
        description=description,
        redirect_uris=" ".join(redirect_uris),
        allowed_scopes=_unique(allowed_scopes),
        require_pkce=require_pkce,
        client_type=Agent.CLIENT_CONFIDENTIAL,
        authorization_grant_type=Agent.GRANT_AUTHORIZATION_CODE,
        made_by_id=maker(actor),
    )
    secret = add_secret(agent.secrets, prefix="ags", now=clock.now(), fields={"made_by_id": maker(actor)})
    remember_uris(actor, agent)
    record_agent(Event.AGENT_CREATED, actor=actor, agent=agent, metadata={"name": agent.name})
    mail_about_credential(Made.AGENT, actor=actor, name=agent.name, uris=tuple(agent.redirect_uri_list))
    return RegisteredAgent(agent, secret)


def _require_room(organization: Organization) -> None:
    """Lock the organization, and raise `Invalid` or `Throttled` if it cannot have another agent."""
    hold_organizations([organization.id])
    if agents_for_organization(organization.id).count() >= MAX_AGENTS:
        text = gettext_noop("An organization can have at most %(most)d agents. Delete one first.")
        raise Invalid.field("name", Filled(text, most=MAX_AGENTS))
    now = clock.now()
    deleted = all_agents_of_organization(organization.id).filter(deleted_at__gt=now - DELETED_WITHIN)
    times = deleted.order_by("-deleted_at").values_list("deleted_at", flat=True)
    if (nth := times[MAX_DELETED - 1 :].first()) is not None:
        raise Throttled(int((nth + DELETED_WITHIN - now).total_seconds()) + 1)


def update_agent(*, actor: Actor, agent: Agent, changes: Mapping[str, Any], reason: str = "") -> Agent:
    """Change the given fields of `EDITABLE` and return the updated agent.

    Raises `InvalidScope` and `Invalid`, and for a new redirect URI `ReauthenticationRequired` if the actor has not
    signed in recently. When an agent that a reset has suspended is reactivated, it loses its redirect URIs from before
    the reset.

    Narrower scopes and a suspension apply to every verify request that starts after this returns. `status` belongs to
    the developer and does not affect an administrator's stop. The log records the `reason` for a new status and, if an
    administrator makes it, for any change.
    """
    unknown = set(changes) - EDITABLE
    if unknown:
        raise Invalid.field(min(unknown), gettext_noop("This field cannot be changed."))
    require_known(changes.get("allowed_scopes", ()), field="allowedScopes")
    if "redirect_uris" in changes:
        check_redirect_uris(changes["redirect_uris"])
    check_name(changes.get("name", ""))
    check_links({name: changes[name] for name in ("homepage_url", "privacy_url") if name in changes})
    with revocation():
        agent = lock_own_agent(actor, agent)
        before, added = agent.status, added_uris(agent, changes.get("redirect_uris", ()))
        removed = [scope for scope in agent.allowed_scopes if scope not in changes.get("allowed_scopes", (scope,))]
        if added:
            require_recent_session(actor)
        for field, value in changes.items():
            setattr(agent, field, _stored(field, value))
        agent.save(update_fields=[*changes, "updated"])
        if "redirect_uris" in changes:
            remember_uris(actor, agent)
        event = _update_event(before, agent.status)
        dropped = drop_reclaimed_uris(agent) if event is Event.AGENT_REACTIVATED else 0
        is_stated = reason and (event is not Event.AGENT_UPDATED or actor.kind == "administrator")
        stated = {"reason": reason} if is_stated else {}
        facts = {"changed": sorted(changes), **({"droppedRedirectUris": dropped} if dropped else {}), **stated}
        facts |= {"removedScopes": removed} if removed else {}
        record_agent(event, actor=actor, agent=agent, metadata=facts)
        if added:
            mail_about_credential(Made.REDIRECT_URIS, actor=actor, name=agent.name, uris=tuple(added))
    return agent


def stop_agent(*, actor: Actor, agent: Agent, reason: str) -> bool:
    """Stop the agent on behalf of an administrator. Return False if it was already stopped.

    Every verify request that starts after this returns is denied. Only `lift_agent_stop` lifts the stop.
    """
    with revocation():
        running = Agent.objects.filter(pk=agent.pk, stopped_at__isnull=True)
        changed = bool(running.update(stopped_at=clock.now(), stop_reason=reason))
        if changed:
            record_agent(Event.AGENT_STOPPED, actor=actor, agent=agent, metadata={"reason": reason})
    return changed


@transaction.atomic
def lift_agent_stop(*, actor: Actor, agent: Agent, reason: str) -> bool:
    """Lift an administrator's stop. Return False if there was none. The developer's `status` does not change."""
    stopped = Agent.objects.filter(pk=agent.pk, stopped_at__isnull=False)
    changed = bool(stopped.update(stopped_at=None, stop_reason=""))
    if changed:
        record_agent(Event.AGENT_STOP_LIFTED, actor=actor, agent=agent, metadata={"reason": reason})
    return changed


def lock_agent(agent_id: str) -> Agent:
    """Lock the agent until the transaction ends, so that it cannot change, and return its current state.

    Raises `NotFound` if its developer or the sweep of unused registrations has deleted it.

    Danger: without `no_key` this can deadlock with a concurrent code exchange, whose rows refer to the agent.
    """
    locked = Agent.objects.select_for_update(of=("self",), no_key=True).select_related("organization")
    agent: Agent | None = locked.filter(pk=agent_id, deleted_at=None).first()
    if agent is None:
        raise NotFound("No such agent.")
    return agent


def lock_own_agent(actor: Actor, agent: Agent) -> Agent:
    """Lock the acting developer and their agent until the transaction ends, and return the agent's current state.

    Raises `NotFound` if it is deleted.
    """
    hold_developer(actor)
    return lock_agent(agent.pk)


def require_may_act(agent: Agent) -> None:
    """Raise `EverythingStopped` or, if the agent may not act, the error that says who has stopped it."""
    require_running()
    stopper = agent.stopped_by
    if stopper is Stopper.ORGANIZATION:
        raise OrganizationSuspended(stopper.value)
    if stopper is Stopper.MEMBERS:
        raise OrganizationStopped(stopper.value)
    if stopper is not None:
        raise AgentSuspended(stopper.value)


def authenticate_client(*, actor: Actor, client_id: str, client_secret: str) -> Agent:
    """Return the agent with these credentials. Raises `InvalidClient`, `Throttled` after too many failures.

    This does not check whether the agent is suspended: callers do that when they issue tokens or decide.
    """
    with client_auth_attempt(actor=actor, client_id=client_id):
        found = find_client_secret(client_id, client_secret)
        if found is not None:
            note_use(found)
            return found.agent
        raise InvalidClient(gettext_noop("Check the client ID and the client secret."))


@contextmanager
def client_auth_attempt(*, actor: Actor, client_id: str) -> Iterator[None]:
    """Count each `InvalidClient` raised inside. After too many, raise `Throttled` instead."""
    try:
        yield
    except InvalidClient:
        throttle_client_failure(ip=actor.ip or "", credential_id=client_id)
        raise


def record_agent(event: Event, *, actor: Actor, agent: Agent, metadata: Mapping[str, Any]) -> None:
    """Log an event about an agent."""
    record(draft_agent(event, actor=actor, agent=agent, metadata=metadata))


def draft_agent(event: Event, *, actor: Actor, agent: Agent, metadata: Mapping[str, Any]) -> Draft:
    return Draft(event=event, actor=actor, organization_id=agent.organization_id, agent_id=agent.id, metadata=metadata)


def check_redirect_uris(uris: Sequence[str]) -> None:
    """Raise `Invalid` for redirect URIs that cannot be registered."""
    if not 1 <= len(uris) <= MAX_REDIRECT_URIS:
        raise Invalid.field(
            "redirectUris", Filled(gettext_noop("Must have 1 to %(most)d redirect URIs."), most=MAX_REDIRECT_URIS)
        )
    problems = [(index, problem_with(uri)) for index, uri in enumerate(uris)]
    errors = tuple(FieldError(f"redirectUris.{index}", problem) for index, problem in problems if problem)
    if errors:
        raise Invalid(gettext_noop("A redirect URI is not valid."), errors=errors)


def _stored(field: str, value: Any) -> Any:
    if field == "redirect_uris":
        return " ".join(value)
    return _unique(value) if field == "allowed_scopes" else value


def _unique(items: Sequence[str]) -> list[str]:
    return list(dict.fromkeys(items))


def _update_event(before: str, after: str) -> Event:
    if before == after:
        return Event.AGENT_UPDATED
    return Event.AGENT_SUSPENDED if after == Agent.Status.SUSPENDED else Event.AGENT_REACTIVATED


def throttle_agents(organization_id: str) -> None:
    """Count a newly registered agent. Raises `Throttled` after too many."""
    Throttle("agents", settings.THROTTLE_AGENTS).hit(Subject(f"organization:{organization_id}"))
