"""Django's backend for PostgreSQL, with connections that do not wait without end for a silent server."""
