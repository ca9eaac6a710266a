from django.apps import AppConfig


class ConsentConfig(AppConfig):
    name = "consent"

    def ready(self) -> None:
        """Read the catalogue: a file that does not fit stops the start. Raises `CatalogueError`."""
        from consent.catalogue import catalogue

        catalogue()
