"""What tests look for in the markup of a page."""

import re

INLINE = re.compile(rb"<script(?![^>]*\ssrc=)|<style|\sstyle=|\son[a-z]+=|javascript:", re.IGNORECASE)


def inline_code(content: bytes) -> list[bytes]:
    """Return the places with a script or a style in the page itself, which the policy for content forbids."""
    return INLINE.findall(content)
