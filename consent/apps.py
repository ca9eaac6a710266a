from django.apps import AppConfig


class ConsentConfig(AppConfig):
    name = "consent"

    def ready(self) -> None:
        """Connect the receiver, and read the catalogue: an unfit file stops the start. Raises `CatalogueError`."""
        from consent import reclaim  # noqa: F401  connects its receiver
        from consent.catalogue import catalogue

        catalogue()
