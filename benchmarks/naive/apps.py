from allauth.account.apps import AccountConfig


class Accounts(AccountConfig):
    """allauth's models without its middleware, which this project does not need."""

    def ready(self) -> None:
        pass
