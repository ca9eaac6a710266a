"""The gateway stands in front of MCP servers, and asks AgentGate about each call before it forwards it."""

import os

# FastMCP reads its settings from .env in the current folder, which is the one that a desktop client has open.
os.environ.setdefault("FASTMCP_ENV_FILE", os.devnull)
