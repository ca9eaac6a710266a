"""The service's side: is the caller who shows this token allowed to do this?"""

from .defaults import configure, default_guard
from .guard import Guard, Mode
from .refusals import Refusal
from .requirement import Requirement

__all__ = ["Guard", "Mode", "Refusal", "Requirement", "configure", "default_guard"]
