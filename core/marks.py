"""The mark of an agent: a color and four bars, computed from its id, so that it is the same on all pages and in mails.

The lengths of the bars mean nothing. No mark is a row of bars that grow on one line, as the risk gauge is.
"""

from hashlib import sha256

# None is near the red and the amber of risks. White has a contrast of at least 5.7 to each. `tint-0` and so on in
# static/css/components.css are the same.
COLORS = (
    "#646a1e",
    "#1f5a2e",
    "#0d716e",
    "#1769a0",
    "#2c3a94",
    "#6d45c4",
    "#98309c",
    "#5f2a57",
    "#75583c",
    "#4a5568",
)
_PLACES = ("6.5", "11.5", "16.5", "21.5")
# A bar without a length is a dot.
_LENGTHS = (0, 4, 10, 16)


def tint(agent_id: str) -> int:
    """Return the index of the agent's color."""
    return _digest(agent_id)[0] % len(COLORS)


def bars(agent_id: str) -> str:
    """Return the `d` of an SVG path with the agent's bars, on a grid of 28 by 28.

    They are upright or lying, and are centered, hang from one edge, or reach inwards from both in turn.
    """
    _, form, *lengths = _digest(agent_id)[:6]
    sizes = [_LENGTHS[byte % 4] for byte in lengths]
    starts = [((28 - size) // 2, 6, 6 if index % 2 else 22 - size)[form // 2 % 3] for index, size in enumerate(sizes)]
    lines = zip(_PLACES, starts, sizes, strict=True)
    if form % 2:
        return "".join(f"M{place} {start}v{size}" for place, start, size in lines)
    return "".join(f"M{start} {place}h{size}" for place, start, size in lines)


def _digest(agent_id: str) -> bytes:
    return sha256(agent_id.encode()).digest()
