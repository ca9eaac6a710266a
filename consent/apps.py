from django.apps import AppConfig


class ConsentConfig(AppConfig):
    name = "consent"

    def ready(self) -> None:
        from consent import endings, impact, notices  # noqa: F401  connect receivers, register emails
