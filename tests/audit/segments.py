"""Segments that a few entries complete."""

import pytest

from audit.proof import exports, members
from audit.readers import finding, in_order, occurred, snapshot
from audit.sequencing import log, postings


def shrink_segments(monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    """Complete a segment after `size` entries."""
    for module in (postings, log, finding, snapshot, occurred, in_order, members, exports):
        monkeypatch.setattr(module, "SEGMENT", size)
