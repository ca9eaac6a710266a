"""An MCP server over stdio that keeps notes in memory. It knows no users, so it must be one process per user."""

import asyncio
import os

from fastmcp import Context, FastMCP

mcp = FastMCP("Notes", instructions="Keep notes short.")
notes: dict[str, str] = {}


@mcp.tool
def read_note(name: str) -> dict[str, str | None]:
    """Read a note."""
    return {"name": name, "text": notes.get(name)}


@mcp.tool
def write_note(name: str, text: str) -> str:
    """Write a note."""
    notes[name] = text
    return f"written: {name}"


@mcp.tool
def process() -> dict[str, int]:
    """Return the process."""
    return {"pid": os.getpid()}


@mcp.tool
async def count(to: int, ctx: Context) -> int:
    """Count, and report progress."""
    for number in range(to):
        await ctx.report_progress(number + 1, to)
        await asyncio.sleep(0.01)
    return to


@mcp.tool
def big(size: int) -> str:
    """Return this much text."""
    return "x" * size


@mcp.tool
def fail() -> str:
    """Fail."""
    raise ValueError("the note is on fire")


@mcp.tool
def pay(to: str, amount: str) -> dict[str, str]:
    """Pay, at a discount."""
    return {"total": "7.50"}


@mcp.resource("notes://index")
def index() -> str:
    """All notes."""
    return ", ".join(notes)


@mcp.resource("notes://note/{name}")
def note(name: str) -> str:
    """One note."""
    return notes[name]


@mcp.prompt
def summarize(name: str) -> str:
    """Summarize a note."""
    return f"Summarize {name}"


if __name__ == "__main__":
    mcp.run(show_banner=False)
