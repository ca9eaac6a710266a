"""QR codes as inline SVG, because the Content Security Policy allows no `data:` images."""

from collections.abc import Sequence
from itertools import groupby

from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from qrcode.constants import ERROR_CORRECT_M
from qrcode.main import QRCode

QUIET_ZONE = 4  # modules on each side (ISO/IEC 18004)


def qr_code(text: str) -> SafeString:
    """Return the QR code of `text` as an `<svg>` that CSS sizes."""
    code = QRCode(error_correction=ERROR_CORRECT_M, border=QUIET_ZONE)
    code.add_data(text)
    code.make()
    rows = code.get_matrix()
    bars = "".join(_bars(number, row) for number, row in enumerate(rows))
    return format_html(
        '<svg class="qr" role="img" aria-label="{}" viewBox="0 0 {} {}"><path d="{}"/></svg>',
        _("QR image with the key for the app"),
        len(rows),
        len(rows),
        bars,
    )


def _bars(number: int, row: Sequence[bool]) -> str:
    """Return a rectangle for each run of dark modules."""
    found, start = "", 0
    for is_dark, run in groupby(row):
        length = len(list(run))
        found += f"M{start} {number}h{length}v1h-{length}z" if is_dark else ""
        start += length
    return found
