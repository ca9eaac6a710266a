from django.apps import AppConfig


class TokensConfig(AppConfig):
    name = "tokens"

    def ready(self) -> None:
        from tokens import delegated_approvals, endings, impact, replacement  # noqa: F401  connects their receivers
