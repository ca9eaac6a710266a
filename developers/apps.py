from django.apps import AppConfig


class DevelopersConfig(AppConfig):
    name = "developers"

    def ready(self) -> None:
        from developers import credential_mails, domain_mails, erasure  # noqa: F401  register emails, connect a receiver
