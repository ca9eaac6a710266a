"""The mark of an agent: a color and four bars, computed from its id, so that it is the same on all pages and in mails.

The bars are centered, and their heights mean nothing: those of the risk gauge stand on one line.
"""

from hashlib import sha256

# None is near the red and the amber of risks. White has a contrast of at least 5.7 to each. `tint-0` and so on in
# static/css/components.css are the same.
COLORS = (
    "#646829",
    "#3b723e",
    "#20735e",
    "#147175",
    "#176d8b",
    "#3464a0",
    "#5957aa",
    "#754d9e",
    "#8c467e",
    "#6f614d",
)
_BAR_STARTS = ("6.5", "11.5", "16.5", "21.5")


def tint(agent_id: str) -> int:
    """Return the index of the agent's color."""
    return _digest(agent_id)[0] % len(COLORS)


def bars(agent_id: str) -> str:
    """Return the `d` of an SVG path with the agent's bars, on a grid of 28 by 28."""
    halves = [2 + 2 * (byte % 4) for byte in _digest(agent_id)[1:5]]
    return "".join(f"M{start} {14 - half}v{2 * half}" for start, half in zip(_BAR_STARTS, halves, strict=True))


def _digest(agent_id: str) -> bytes:
    return sha256(agent_id.encode()).digest()
