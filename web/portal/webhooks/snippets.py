"""Programs that check the signature of a delivery, in a few lines."""

from dataclasses import dataclass

from django.template.loader import render_to_string

# The names of programs are the same in every language.
LANGUAGES = {"python": "Python", "javascript": "JavaScript"}


@dataclass(frozen=True, slots=True)
class Snippet:
    name: str
    title: str
    install: str
    text: str


INSTALL = {"python": "pip install standardwebhooks", "javascript": "npm install standardwebhooks"}


def snippets() -> list[Snippet]:
    return [
        Snippet(name, title, INSTALL[name], render_to_string(f"web/portal/webhooks/parts/check_{name}.txt").strip())
        for name, title in LANGUAGES.items()
    ]
