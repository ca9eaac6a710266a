"""Tools of developers: they write files that are committed."""
