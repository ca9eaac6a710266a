from django.apps import AppConfig
from django.contrib.admin.apps import AdminConfig


class AgentGateConfig(AppConfig):
    """The project itself: its system checks and its changes to the admin site."""

    name = "agentgate"

    def ready(self) -> None:
        from agentgate import checks  # noqa: F401  importing registers them


class AgentGateAdminConfig(AdminConfig):
    default_site = "agentgate.admin_site.AgentGateAdminSite"
