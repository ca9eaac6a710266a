"""The two ways in which a check can fail. Messages are one line and safe to print on a terminal."""

from __future__ import annotations

from typing import TypeVar

Self = TypeVar("Self", bound="AuditError")


class AuditError(Exception):
    """Base class of this package's errors."""

    def at(self: Self, place: str) -> Self:
        """Return the same error with the place where it was found in front."""
        return type(self)(f"{place}: {self}")


class Broken(AuditError):
    """The evidence does not hold: something is changed, missing or not allowed."""


class Unusable(AuditError):
    """The input cannot be checked: it is not what the command reads, or a key or file is bad."""


def quote(value: object) -> str:
    """Return untrusted text for a message: short, in ASCII and without control characters."""
    shown = ascii(value)
    return shown if len(shown) <= 80 else f"{shown[:77]}..."
