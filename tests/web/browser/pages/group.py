"""Groups of pages: what a browser test opens as one user, in one world."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from developers.models import Developer

PAGE_LIMIT = 150_000
CONSENT_LIMIT = 80_000


@dataclass(frozen=True)
class Page:
    """A page to check.

    `path` may contain `{name}`, an id from the group's content, and `{organization}`, that of the user. A GET of it
    answers with `status`, which is that of a redirect if it redirects. `act` gets the open tab and brings the page into
    another state, for example by sending a form with an error; `state` then names that state. It finds a translated
    text by `tab.words(text)`. `limit` is in bytes, with all resources; without `counts_scripts` it is that of a browser
    that runs no scripts.
    """

    path: str
    act: Callable[[Any], object] | None = None
    state: str = ""
    limit: int = PAGE_LIMIT
    counts_scripts: bool = True
    status: int = 200

    def __str__(self) -> str:
        return f"{self.path} ({self.state})" if self.state else self.path


def as_page(page: Page | str) -> Page:
    return Page(page) if isinstance(page, str) else page


@dataclass(frozen=True)
class Content:
    """The address of the user who opens the pages (empty: no user), and ids by name for their paths."""

    email: str = ""
    ids: Mapping[str, str] = field(default_factory=dict)


def nothing() -> Content:
    """Make no content: the pages are opened without signing in."""
    return Content()


@dataclass(frozen=True)
class Group:
    """Pages that one user opens, and the function that makes their content in an empty database.

    `pages` has each page once, in the state that shows most, and states with another layout. `further` has states that
    only `./dev soak` looks at. `urls` is the module of the URLs, if not the product's.
    """

    name: str
    make: Callable[[], Content]
    pages: Sequence[Page | str]
    further: Sequence[Page | str] = ()
    urls: str = ""

    @property
    def all_pages(self) -> list[Page]:
        return [as_page(page) for page in (*self.pages, *self.further)]

    def prepare(self, settings: Any) -> Content:
        """Make the content, and set what the pages need. `settings` is the fixture."""
        settings.ROOT_URLCONF = self.urls or settings.ROOT_URLCONF
        content = self.make()
        developer = Developer.objects.filter(user__email=content.email).first()
        return (
            replace(content, ids={"organization": developer.organization_id, **content.ids}) if developer else content
        )

    def __str__(self) -> str:
        return self.name


def press(name: str) -> Callable[[Any], object]:
    """Return an `act` that presses a button and waits for the next page."""

    def act(tab: Any) -> None:
        with tab.page.expect_navigation():
            tab.page.get_by_role("button", name=tab.words(name), exact=True).first.click()

    return act


def press_live(name: str, fields: Mapping[str, str] | None = None) -> Callable[[Any], object]:
    """Return an `act` that fills fields, presses a button of a form with `data-live`, and waits for the answer."""

    def act(tab: Any) -> None:
        for selector, text in (fields or {}).items():
            tab.page.locator(selector).fill(text)
        tab.page.get_by_role("button", name=tab.words(name), exact=True).first.click()
        tab.page.locator("#announcer:not(:empty)").wait_for(state="attached")

    return act


def with_error(field: str, text: str, button: str) -> Callable[[Any], object]:
    """Return an `act` that fills a field with what the server refuses."""
    return send({field: text}, button)


def send(fields: Mapping[str, str], button: str) -> Callable[[Any], object]:
    """Return an `act` that fills fields, by their selectors, and presses a button."""

    def act(tab: Any) -> None:
        for selector, text in fields.items():
            tab.page.locator(selector).fill(text)
        press(button)(tab)

    return act
