"""Whole numbers in form fields."""

MAX_DIGITS = 9


def read_whole(text: str) -> int | None:
    """Return the number, or None if the text is not 1 to 9 digits."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= MAX_DIGITS else None
