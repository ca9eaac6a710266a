"""`require_scopes` for Django, Django REST framework, FastAPI, Flask and FastMCP, a module each."""
