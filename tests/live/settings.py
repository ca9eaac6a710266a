"""Settings with cheap password hashes. The tests register about a thousand accounts, and a real hash takes 0.1 s."""

from accounts.hashers import BoundedArgon2Hasher
from tests.constants import CHEAP_ARGON2
from tests.live.unthrottled import *  # noqa: F403 - all other settings stay


class CheapArgon2(BoundedArgon2Hasher):
    time_cost = CHEAP_ARGON2["time_cost"]
    memory_cost = CHEAP_ARGON2["memory_cost"]
    parallelism = CHEAP_ARGON2["parallelism"]


PASSWORD_HASHERS = ["tests.live.settings.CheapArgon2"]
