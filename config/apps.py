from django.apps import AppConfig


class Config(AppConfig):
    """An app for its commands and checks alone; it has no models."""

    name = "config"

    def ready(self) -> None:
        from config import checks  # noqa: F401 - Django knows them once they are loaded
