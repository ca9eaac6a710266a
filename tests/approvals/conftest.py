"""The agent, the user and the consent of the tests about consents."""

from tests.consent.conftest import ada, agent, asks, granted

__all__ = ["ada", "agent", "asks", "granted"]
