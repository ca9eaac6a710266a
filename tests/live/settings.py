"""The settings with cheap passwords: the tests register a thousand accounts, and each hash costs 0.1 s of two cores."""

from django.contrib.auth.hashers import Argon2PasswordHasher

from agentgate.settings import *  # noqa: F403 - the settings, with one changed


class CheapArgon2(Argon2PasswordHasher):
    time_cost = 1
    memory_cost = 64
    parallelism = 1


PASSWORD_HASHERS = ["tests.live.settings.CheapArgon2"]
