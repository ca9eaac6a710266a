"""Names that others choose and that stand beside our own badges."""

import re

from django.utils.translation import gettext_noop

from core.errors import Invalid

CHECK_MARKS = re.compile("[\u221a\u237b\u2611\u2705\u2713\u2714\U0001f5f8\U0001f5f9]")


def check_name(name: str) -> None:
    """Raise `Invalid` if the name has a check mark, with which it could look verified."""
    if CHECK_MARKS.search(name):
        raise Invalid.field(
            "name", gettext_noop("Leave out check marks: AgentGate uses them for what it has verified.")
        )
