"""The steps of a measurement that run inside Django, by name."""

from collections.abc import Callable, Iterator
from typing import Any

from benchmarks.grown.log_visits import log_pages
from benchmarks.grown.measuring import measure
from benchmarks.grown.visits import Visit, administration
from benchmarks.portal.dataset import Dataset
from benchmarks.portal.desk_visits import desk
from benchmarks.portal.sizes import Sizes
from benchmarks.portal.visits import PortalVisitors, log_of_portal, portal

type Step = Callable[[Any], dict[str, Any]]


def fill(sizes: dict[str, int]) -> dict[str, Any]:
    """Fill the database. Return the credentials for the visits."""
    return {"credentials": Dataset(Sizes(**sizes)).fill()}


def visit(given: dict[str, Any]) -> dict[str, Any]:
    """Make every visit with these credentials, so many times, and return what each took."""
    return {"visits": measure(visits(PortalVisitors(given["credentials"])), times=given["times"])}


def visits(visitors: PortalVisitors) -> Iterator[Visit]:
    """Yield the visits of the portal and of the desk."""
    yield from portal(visitors)
    yield from (each for each in log_pages(visitors) if each.name.startswith(("developer/", "admin/")))
    yield from log_of_portal(visitors)
    yield from desk(visitors)
    yield from administration(visitors)


STEPS: dict[str, Step] = {"fill": fill, "visit": visit}
