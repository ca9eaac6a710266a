"""The endpoints of the developer's API, by subject."""
