"""The demo, `./dev demo`: sample users and a history, the server and the worker, and an example agent."""
