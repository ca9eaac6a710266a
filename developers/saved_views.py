"""Save, rename and delete a developer's own views of the log."""

from django.db import IntegrityError, transaction
from django.utils.translation import gettext_noop

from audit.entries.drafts import Draft
from audit.events import Event
from audit.services import record
from core.actor import Actor
from core.errors import Invalid, NotFound
from core.text import plain_text
from core.wording import Filled
from developers.acting import hold_developer
from developers.models import Developer, SavedView

MAX_VIEWS = 20
MAX_NAME_LENGTH = 60
MAX_QUERY_LENGTH = 4000


@transaction.atomic
def save_view(*, actor: Actor, developer: Developer, name: str, query: str) -> SavedView:
    """Save a view under a new name. Raises `Invalid` for a name that is taken, or if there are too many views."""
    hold_developer(actor)
    name = _valid_name(name)
    if not query or len(query) > MAX_QUERY_LENGTH:
        raise Invalid.field("query", gettext_noop("Choose at least one filter first."))
    if developer.saved_views.count() >= MAX_VIEWS:
        message = gettext_noop("At most %(most)d saved views. Delete one first.")
        raise Invalid.field("name", Filled(message, most=MAX_VIEWS))
    view = SavedView(developer=developer, name=name, query=query)
    _write(view)
    _record(Event.LOG_VIEW_SAVED, actor, view)
    return view


@transaction.atomic
def rename_view(*, actor: Actor, developer: Developer, view_id: str, name: str) -> None:
    """Raises `NotFound`, and `Invalid` for a name that is taken."""
    hold_developer(actor)
    view = _own(developer, view_id)
    view.name = _valid_name(name)
    _write(view)
    _record(Event.LOG_VIEW_RENAMED, actor, view)


@transaction.atomic
def delete_view(*, actor: Actor, developer: Developer, view_id: str) -> None:
    """Raises `NotFound`."""
    hold_developer(actor)
    view = _own(developer, view_id)
    developer.saved_views.filter(pk=view.pk).delete()
    _record(Event.LOG_VIEW_DELETED, actor, view)


def _own(developer: Developer, view_id: str) -> SavedView:
    view = developer.saved_views.filter(pk=view_id).first()
    if view is None:
        raise NotFound("No such saved view.")
    return view


def _valid_name(name: str) -> str:
    name = plain_text(name)
    if not name:
        raise Invalid.field("name", gettext_noop("Give the view a name."))
    if len(name) > MAX_NAME_LENGTH:
        raise Invalid.field("name", Filled(gettext_noop("At most %(most)d characters."), most=MAX_NAME_LENGTH))
    return name


def _write(view: SavedView) -> None:
    try:
        with transaction.atomic():
            view.save()
    except IntegrityError as error:
        raise Invalid.field("name", gettext_noop("You already have a view with this name.")) from error


def _record(event: Event, actor: Actor, view: SavedView) -> None:
    """Write the log entry. It repeats neither the name nor the query, which can name persons."""
    organization_id = view.developer.organization_id
    record(Draft(event, actor, organization_id=organization_id, metadata={"viewId": view.id}))
