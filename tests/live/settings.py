"""Settings with cheap password hashes. The tests register about a thousand accounts, and a real hash takes 0.1 s."""

from accounts.hashers import BoundedArgon2Hasher
from agentgate.settings import *  # noqa: F403 - all other settings stay
from tests.constants import CHEAP_ARGON2


class CheapArgon2(BoundedArgon2Hasher):
    time_cost = CHEAP_ARGON2["time_cost"]
    memory_cost = CHEAP_ARGON2["memory_cost"]
    parallelism = CHEAP_ARGON2["parallelism"]


PASSWORD_HASHERS = ["tests.live.settings.CheapArgon2"]
