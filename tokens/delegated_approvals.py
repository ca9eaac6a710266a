"""Approvals of calls that were handed on: they end with the delegation by which the agent asked."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from django.dispatch import receiver
from django.utils.translation import gettext_noop

from approvals.endings import end_these, live_handed_on
from approvals.errors import ConnectionInactive
from approvals.models import Approval
from approvals.signals import handed_on_checked
from tokens.chains import Handover, is_chain_live, read_handovers

HAS_ENDED = gettext_noop("What was handed on to the agent has ended.")


@receiver(handed_on_checked)
def require_live(*, approval: Approval, now: datetime, **kwargs: Any) -> datetime:
    """Return when the first of the approval's delegations ends. Raises `ConnectionInactive` if one has ended."""
    chains = read_handovers(_ids_of(approval))
    if not _is_live(approval, chains, now):
        raise ConnectionInactive(HAS_ENDED)
    return min(each.expires_at for each in chains.values())


def end_unreachable(consent_id: str, now: datetime) -> None:
    """End the approvals of a connection for calls by delegations that have ended.

    Danger: call it with `after_decisions`, because decisions use approvals.
    """
    approvals = live_handed_on(consent_id, now)
    chains = read_handovers({one for approval in approvals for one in _ids_of(approval)}) if approvals else {}
    end_these([approval for approval in approvals if not _is_live(approval, chains, now)], now)


def _is_live(approval: Approval, chains: dict[str, Handover], now: datetime) -> bool:
    ids = _ids_of(approval)
    return is_chain_live(ids, [chains[one] for one in ids if one in chains], now)


def _ids_of(approval: Approval) -> list[str]:
    chain: Iterable[tuple[str, str | None]] = approval.chain or ()
    return [delegation for _agent, delegation in chain if delegation]
