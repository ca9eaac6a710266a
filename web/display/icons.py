"""Icons: strokes on a 24 by 24 grid, drawn in the color of the text beside them."""

from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe

# The `d` of one path each.
PATHS = {
    "bell": "M6 16V11a6 6 0 0 1 12 0v5l2 2H4zM10 21h4",
    "calendar": "M4 6h16v14H4zM4 11h16M8 3v5M16 3v5",
    "card": "M3 6h18v12H3zM3 10h18M7 15h4",
    "check": "M4 13l5 5L20 6",
    "clock": "M12 3a9 9 0 1 1 0 18a9 9 0 1 1 0-18zM12 7v5l4 2",
    "code": "M9 7l-6 5 6 5M15 7l6 5-6 5",
    "copy": "M9 9h11v11H9zM15 9V4H4v11h5",
    "cross": "M6 6l12 12M18 6L6 18",
    "down": "M6 9l6 6 6-6",
    "external": "M14 4h6v6M20 4l-9 9M11 6H4v14h14v-7",
    "file": "M6 3h8l5 5v13H6zM14 3v5h5",
    "filter": "M4 6h16M7 12h10M10 18h4",
    "globe": "M12 3a9 9 0 1 1 0 18a9 9 0 1 1 0-18zM3 12h18M12 3c5 5 5 13 0 18M12 3c-5 5-5 13 0 18",
    "info": "M12 3a9 9 0 1 1 0 18a9 9 0 1 1 0-18zM12 11v5M12 7.5v.5",
    "key": "M15 4a5 5 0 1 1 0 10a5 5 0 1 1 0-10zM11.5 12.5L4 20M7 17l2.5 2.5",
    "laptop": "M5 5h14v10H5zM2 19h20",
    "link": "M10 14a4 4 0 0 0 6 0l3-3a4 4 0 0 0-6-6l-1 1M14 10a4 4 0 0 0-6 0l-3 3a4 4 0 0 0 6 6l1-1",
    "lock": "M5 11h14v10H5zM8 11V8a4 4 0 0 1 8 0v3",
    "mail": "M3 5h18v14H3zM3 7l9 6 9-6",
    "menu": "M4 7h16M4 12h16M4 17h16",
    "moon": "M20 14.5A8.5 8.5 0 1 1 9.5 4a7 7 0 0 0 10.5 10.5z",
    "out": "M10 4H4v16h6M15 8l4 4-4 4M9 12h10",
    "pause": "M8 5v14M16 5v14",
    "people": "M9 5a3.5 3.5 0 1 1 0 7a3.5 3.5 0 1 1 0-7zM2 20a7 7 0 0 1 14 0"
    "M16 5.5a3.5 3.5 0 0 1 0 6.5M22 20a7 7 0 0 0-4-6",
    "phone": "M7 2h10v20H7zM11 18h2",
    "play": "M7 4l12 8-12 8z",
    "plus": "M12 5v14M5 12h14",
    "search": "M10.5 4a6.5 6.5 0 1 1 0 13a6.5 6.5 0 1 1 0-13zM15.5 15.5L21 21",
    "shield": "M12 3l8 3v6c0 5-4 8-8 9-4-1-8-4-8-9V6z",
    "sun": "M12 8a4 4 0 1 1 0 8a4 4 0 1 1 0-8zM12 2v2M12 20v2M2 12h2M20 12h2"
    "M5 5l1.4 1.4M17.6 17.6L19 19M5 19l1.4-1.4M17.6 6.4L19 5",
    "trash": "M4 7h16M9 7V4h6v3M6 7l1 14h10l1-14M10 11v6M14 11v6",
    "user": "M12 4a4 4 0 1 1 0 8a4 4 0 1 1 0-8zM4 21a8 8 0 0 1 16 0",
    "warning": "M12 3l10 18H2zM12 10v5M12 17.5v.5",
}


def icon(name: str) -> SafeString:
    """Return the icon as SVG. It is hidden from screen readers, which read the text beside it. Raises `KeyError`."""
    return format_html(
        '<svg class="icon" viewBox="0 0 24 24" aria-hidden="true"><path d="{}"/></svg>',
        mark_safe(PATHS[name]),  # noqa: S308  a constant of this module
    )
