from django.apps import AppConfig


class TokensConfig(AppConfig):
    name = "tokens"

    def ready(self) -> None:
        from tokens import erasure, impact, reclaim, replacement, takeovers  # noqa: F401  connects their receivers
