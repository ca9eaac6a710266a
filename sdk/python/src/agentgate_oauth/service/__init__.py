"""For services: guards decide whether a caller with a token may make a request."""

from .defaults import configure, default_guard
from .guard import Guard, Mode
from .refusals import Refusal
from .requirement import Requirement

__all__ = ["Guard", "Mode", "Refusal", "Requirement", "configure", "default_guard"]
