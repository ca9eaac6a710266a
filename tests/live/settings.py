"""Settings with cheap password hashes. The tests register about a thousand accounts, and a real hash takes 0.1 s."""

from django.contrib.auth.hashers import Argon2PasswordHasher

from agentgate.settings import *  # noqa: F403 - all other settings stay


class CheapArgon2(Argon2PasswordHasher):
    time_cost = 1
    memory_cost = 64
    parallelism = 1


PASSWORD_HASHERS = ["tests.live.settings.CheapArgon2"]
