"""What tests look for in the markup of a page."""

import re
from html import unescape

from django.http import HttpResponse
from django.test import Client

from web.user.consent.form import Choice

INLINE = re.compile(rb"<script(?![^>]*\ssrc=)|<style|\sstyle=|\son[a-z]+=|javascript:", re.IGNORECASE)


def text_of(client: Client, path: str, **query: str) -> str:
    """Return the page with its markup, unescaped. It must answer with 200."""
    response = client.get(path, query)
    assert response.status_code == 200
    return markup_of(response)


def markup_of(response: HttpResponse) -> str:
    """Return the markup of a response, unescaped."""
    return unescape(response.content.decode())


def words_of(response: HttpResponse) -> str:
    """Return the markup of a response, unescaped and on one line, with single spaces."""
    return " ".join(markup_of(response).split())


def main_of(page: str) -> str:
    """Return the main part of a page."""
    return page[page.index("<main") : page.index("</main>")]


def inline_code(content: bytes) -> list[bytes]:
    """Return the places with a script or a style in the page itself, which the policy for content forbids."""
    return INLINE.findall(content)


def choices_in(page: HttpResponse, section: str) -> list[Choice]:
    """Return the scopes of a section of the consent screen: "required", "optional" or "known"."""
    found = [part for part in page.context["sections"] if part.name == section]
    return [choice for part in found for group in part.groups for choice in group.choices]
