"""Django's admin site for the administrators of this server: a surface beside the API and the pages."""
