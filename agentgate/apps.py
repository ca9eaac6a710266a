from django.apps import AppConfig
from django.contrib.admin.apps import AdminConfig


class AgentGateConfig(AppConfig):
    """The project itself: its system checks, commands and last touches to the admin site."""

    name = "agentgate"

    def ready(self) -> None:
        from agentgate import checks  # noqa: F401  registers them


class AgentGateAdminConfig(AdminConfig):
    default_site = "agentgate.admin_site.AgentGateAdminSite"
