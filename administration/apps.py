from django.apps import AppConfig
from django.contrib.admin.apps import AdminConfig


class AdministrationConfig(AppConfig):
    name = "administration"


class AgentGateAdminConfig(AdminConfig):
    """Django's admin with our site."""

    default_site = "administration.site.AgentGateAdminSite"
