"""What a call touched: the recipient, the target and the amount, if the log has them for the user.

Services write these texts, and an erasure removes them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

from audit.entries.drafts import SHORTENED
from audit.sequencing.streams import RESERVED
from core.money import read_amount
from core.text import plain_text

MAX_LENGTH = 200
MAX_LISTED = 3


@dataclass(frozen=True, slots=True)
class Touched:
    """Texts are empty, and `amount` is None, if the log does not say. `amount` has `value` and `currency`.

    `further` are the names of the fields that the service sent and the page of the entry does not name.
    """

    verb: str = ""
    recipient: str = ""
    target: str = ""
    resource: str = ""
    amount: Mapping[str, Any] | None = None
    is_reserved: bool = False
    has_unreadable_amount: bool = False
    further: Sequence[str] = ()
    said: Mapping[str, Any] = field(default_factory=dict)

    def without_target(self) -> Self:
        """Return the same without the target, because the entries of a line can have different ones."""
        said = {name: value for name, value in self.said.items() if name != "target"}
        return replace(self, target="", resource="", said=said)

    @property
    def is_resource_apart(self) -> bool:
        """Whether the sentence about the call leaves out the resource."""
        return bool(self.resource) and bool(self.recipient or self.target)

    @property
    def what(self) -> str:
        """The most specific name of what was touched."""
        return self.target or self.resource


def read_touched(personal: Mapping[str, Any]) -> Touched:
    """Return what a call touched, from the personal data of its entry."""
    shortened = personal.get(SHORTENED)
    said = shortened["named"] if shortened else personal.get("context") or {}
    stated = personal.get("amount") or said.get("amount") or {}
    stated = stated if isinstance(stated, dict) else {"value": stated}
    amount = read_amount({name: value for name, value in stated.items() if name != RESERVED})
    recipient, target = text_of(said.get("recipient")), text_of(said.get("target"))
    verb, ip = text_of(said.get("verb")), text_of(said.get("ip"))
    # The page of the entry names the verb and the address.
    shown = {"verb": verb, "recipient": recipient, "target": target, "amount": amount, "ip": ip}
    return Touched(
        verb=verb,
        recipient=recipient,
        target=target,
        resource=text_of(personal.get("resource")),
        amount=amount._asdict() if amount else None,
        is_reserved=RESERVED in stated,
        has_unreadable_amount=bool(stated) and amount is None,
        said={**said, **({"amount": amount._asdict()} if amount else {})},
        further=[name for name in (shortened["fields"] if shortened else said) if not shown.get(name)],
    )


def text_of(value: Any) -> str:
    """Return a text or a list of texts as one short line. Anything else appears only in the entry's full content."""
    if isinstance(value, list):
        shown = list(filter(None, map(text_of, value[:MAX_LISTED])))
        return ", ".join([*shown, *(["…"] if 0 < len(shown) < len(value) else [])])
    is_text = isinstance(value, str | int | float) and not isinstance(value, bool)
    text = plain_text(value) if is_text else ""
    return f"{text[:MAX_LENGTH]}…" if len(text) > MAX_LENGTH else text
