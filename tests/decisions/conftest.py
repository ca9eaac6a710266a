"""Fixtures of the JSON API, for tests through HTTP."""

from tests.api.conftest import ada, anonymous, developer, new_developer, new_user, rival

__all__ = ["ada", "anonymous", "developer", "new_developer", "new_user", "rival"]
