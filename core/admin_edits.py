"""Forms of the admin site that change a row. Each needs a recent sign-in and a reason, and saves through a service."""

from typing import Any

from core.actor import Actor
from core.admin_actions import ReasonForm
from core.errors import DomainError


class EditForm(ReasonForm):
    """Fields of a row, followed by the reason. `row` is None for a new row."""

    def __init__(self, data: Any, row: Any, editor: Any, reason: str = "") -> None:
        """`editor` is the administrator, and `reason` what they typed before they had to enter the password."""
        self.row, self.editor = row, editor
        super().__init__(data, initial={**self.read(row), "reason": reason})
        self.order_fields([*(name for name in self.fields if name != "reason"), "reason"])

    def read(self, row: Any) -> dict[str, Any]:
        """Return the values of the row."""
        raise NotImplementedError

    def write(self, actor: Actor, reason: str) -> Any:
        """Store the cleaned values, and return the row. May raise a `DomainError`."""
        raise NotImplementedError

    def save(self, actor: Actor) -> Any:
        """Return the row, or None if the service refuses the values. The form then has its errors."""
        try:
            return self.write(actor, self.cleaned_data["reason"])
        except DomainError as error:
            for one in error.errors:
                self.add_error(one.field if one.field in self.fields else None, one.translated)
            if not error.errors:
                self.add_error(None, error.translated)
        return None

    def changed(self) -> dict[str, Any]:
        """Return the cleaned values that differ from the row's."""
        return {name: self.cleaned_data[name] for name in self.changed_data if name != "reason"}
