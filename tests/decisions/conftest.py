"""The callers of the JSON API, for tests through HTTP."""

from tests.api.conftest import ada, anybody, developer, new_developer, new_person, rival

__all__ = ["ada", "anybody", "developer", "new_developer", "new_person", "rival"]
