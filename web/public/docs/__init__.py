"""The documentation at /docs: the Markdown files of the repository, their search, and the API reference."""
