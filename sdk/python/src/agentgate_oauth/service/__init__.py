"""The service's side: guards decide whether a caller with a token may do what it asks."""

from .defaults import configure, default_guard
from .guard import Guard, Mode
from .refusals import Refusal
from .requirement import Requirement

__all__ = ["Guard", "Mode", "Refusal", "Requirement", "configure", "default_guard"]
