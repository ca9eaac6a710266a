"""What a policy does once it is saved, in words."""

from django.utils.translation import gettext as _

from policies.models import Policy


def effect_of(policy: Policy) -> str:
    """Return a sentence about the checks from now on."""
    if not policy.enabled:
        return _("It is switched off: no check uses it.")
    if policy.mode == Policy.Mode.SHADOW:
        return _("From now on, it records what it would deny, and denies nothing.")
    if policy.agent_id:
        return _("It applies to every check of this agent from now on.")
    return _("It applies to every check from now on.")
