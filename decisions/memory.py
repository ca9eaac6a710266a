"""What a process remembers between batches. Everything here can be forgotten at any time: it only saves work."""

from collections.abc import Hashable
from typing import Protocol

from policies.policy_sets import NO_POLICIES, PolicySet

MAX_ORGANIZATIONS = 10_000


class Bounded[Key: Hashable, Value](dict[Key, Value]):
    """A dictionary that forgets the older half of its items when it is full."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self._size = size

    def __setitem__(self, key: Key, value: Value) -> None:
        if len(self) >= self._size:
            # A copy, because other threads may read and write meanwhile.
            for old in tuple(self)[: self._size // 2]:
                self.pop(old, None)
        super().__setitem__(key, value)


class Versioned(Protocol):
    """A row that has the current policy version of an organization."""

    @property
    def organization_id(self) -> str | None: ...
    @property
    def policy_version(self) -> str | None: ...


class PolicySetCache:
    """The policy sets of organizations, in memory. One is used only in the version that the transaction has read."""

    def __init__(self) -> None:
        self._policy_sets: Bounded[str, tuple[str, PolicySet]] = Bounded(MAX_ORGANIZATIONS)

    def current(self, row: Versioned) -> PolicySet | None:
        """Return the organization's policies, or None if they are unknown in their current version."""
        version, policy_set = self._policy_sets.get(row.organization_id or "", ("", NO_POLICIES))
        return policy_set if version and version == row.policy_version else None

    def latest(self, organization_id: str | None) -> PolicySet:
        """Return the organization's policies as last read. They may have changed since."""
        return self._policy_sets.get(organization_id or "", ("", NO_POLICIES))[1]

    def add(self, organization_id: str, version: str, policy_set: PolicySet) -> None:
        self._policy_sets[organization_id] = version, policy_set


POLICY_SETS = PolicySetCache()
"""Those of this process. The event loop and Django's threads share them."""
