"""How an edit of the actions of a guard against data flows keeps what it remembers (docs/adr/0040).

Guards remember calls in rows that belong to their `actions`. After an edit that adds a guard, those of the policy also
read the rows of all guards that it had, as they were at the edit: they remember all that these did, even if they
concern less. An edit copies no rows, because there is one per task.
"""

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from typing import Any

from django.utils.translation import gettext_noop

from core.errors import Conflict
from limits.flows import KEPT_SECONDS
from policies.rules import readable_rules
from policies.rules.data_flow import DataFlow
from policies.rules.parsing import MAX_RULES

Actions = tuple[str, ...]
# A call that sends data out reads up to two rows of each. One edit adds at most as many as a policy has rules.
MAX_CARRIED = MAX_RULES


def guarded_actions(raw_rules: Any) -> frozenset[Actions]:
    """Return the actions of each guard among stored rules. Rules that cannot be read are skipped."""
    return frozenset(tuple(sorted(rule.actions)) for rule in readable_rules(raw_rules) if isinstance(rule, DataFlow))


def carried_flows(
    earlier: Mapping[Actions, datetime], before: Collection[Actions], after: Collection[Actions], now: datetime
) -> Mapping[Actions, datetime]:
    """Return which guards the others read, too, when an edit replaces those `before`. Raises `Conflict` for too many.

    Those before it are added if it adds a guard. A guard that is the policy's first starts empty.
    """
    carried = {actions: at for actions, at in earlier.items() if now < at + timedelta(seconds=KEPT_SECONDS)}
    if before and not set(after) <= set(before):
        carried |= dict.fromkeys(before, now)
    if len(carried) > MAX_CARRIED:
        raise Conflict(
            gettext_noop(
                "The actions of the data flow guards in this policy were changed too often within a month. Keep them, "
                "or put the guard into another policy."
            )
        )
    return carried
