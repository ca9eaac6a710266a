"""Who registered an agent's redirect URIs, and when. Stock clients have no such rows."""

from collections.abc import Sequence

from agents.models import AddedRedirectUri, Agent
from core import clock
from core.actor import Actor
from developers.acting import maker


def added_uris(agent: Agent, wanted: Sequence[str]) -> list[str]:
    """Return the `wanted` URIs that the agent does not have yet."""
    return [uri for uri in dict.fromkeys(wanted) if uri not in agent.redirect_uri_list]


def remember_uris(actor: Actor, agent: Agent) -> None:
    """Store who added each new URI and when, and delete the rows of URIs that the agent no longer has."""
    current, rows, now = agent.redirect_uri_list, agent.added_redirect_uris, clock.now()
    rows.exclude(uri__in=current).delete()
    known = set(rows.values_list("uri", flat=True))
    new = [uri for uri in dict.fromkeys(current) if uri not in known]
    by = maker(actor)
    AddedRedirectUri.objects.bulk_create(
        AddedRedirectUri(agent=agent, uri=uri, made_by_id=by, created_at=now) for uri in new
    )


def keep_only(agent: Agent, kept: Sequence[str]) -> int:
    """Drop all other redirect URIs of the locked agent. Return the number dropped."""
    before = agent.redirect_uri_list
    agent.redirect_uris = " ".join(uri for uri in before if uri in kept)
    agent.save(update_fields=["redirect_uris", "updated"])
    agent.added_redirect_uris.exclude(uri__in=kept).delete()
    return len(before) - len(agent.redirect_uri_list)


def drop_reclaimed_uris(agent: Agent) -> int:
    """Drop the locked agent's URIs from before the reset that suspended it. Return the number dropped.

    A stranger may have hidden them among the owner's.
    """
    if agent.reclaimed_at is None:
        return 0
    newer = agent.added_redirect_uris.filter(created_at__gt=agent.reclaimed_at)
    dropped = keep_only(agent, list(newer.values_list("uri", flat=True)))
    agent.reclaimed_at = None
    agent.save(update_fields=["reclaimed_at"])
    return dropped
