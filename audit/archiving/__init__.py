"""Old months outside the database, and reading them there."""
