"""The gateway stands in front of MCP servers, and asks AgentGate about each call before it forwards it."""
