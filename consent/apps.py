from django.apps import AppConfig


class ConsentConfig(AppConfig):
    name = "consent"

    def ready(self) -> None:
        from consent import agent_deletion, erasure, impact, reclaim  # noqa: F401  connects their receivers
