"""The areas of the style guide. The template of each has its name."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from web.styleguide import activity, analytics, approvals, basics, connections, developer


@dataclass(frozen=True, slots=True)
class Area:
    """A part of the page. `samples` returns what its components show."""

    name: str
    title: str
    samples: Callable[[], Mapping[str, Any]]

    @property
    def template(self) -> str:
        return f"web/styleguide/{self.name}.html"


def no_samples() -> dict[str, Any]:
    return {}


AREAS = (
    Area("foundation", "Foundation", basics.foundation),
    Area("frame", "Masthead and pager", basics.frame),
    Area("notices", "Notices", no_samples),
    Area("forms", "Forms", basics.forms),
    Area("scopes", "Scopes", basics.scopes),
    Area("permissions", "Permissions on the consent screen", connections.choices),
    Area("connections", "Connections", connections.samples),
    Area("approvals", "Approvals", approvals.samples),
    Area("activity", "Activity", activity.samples),
    Area("developer", "Portal of developers", developer.samples),
    Area("analytics", "Analytics", analytics.samples),
    Area("entrance", "Signing in", basics.entrance),
)
