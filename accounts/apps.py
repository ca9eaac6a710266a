from django.apps import AppConfig


class AccountsConfig(AppConfig):
    name = "accounts"
    verbose_name = "users"

    def ready(self) -> None:
        from accounts import account_mails  # noqa: F401  registers its emails
