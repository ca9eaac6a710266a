"""The demo, `./dev demo`: people and a history, server and worker, and an agent to watch at work."""
