from django.apps import AppConfig
from django.contrib.auth.signals import user_logged_in


class AgentGateConfig(AppConfig):
    """The project itself: its system checks."""

    name = "agentgate"

    def ready(self) -> None:
        from agentgate import checks  # noqa: F401  importing registers them

        # `accounts.services.record_sign_in` updates it, and checks the account with the same statement.
        user_logged_in.disconnect(dispatch_uid="update_last_login")
