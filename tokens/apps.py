from django.apps import AppConfig


class TokensConfig(AppConfig):
    name = "tokens"

    def ready(self) -> None:
        from tokens import erasure, reclaim, replacement  # noqa: F401  connects their receivers
