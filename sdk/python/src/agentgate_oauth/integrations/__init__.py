"""`require_scopes` for Django, Django REST framework, FastAPI, Flask and FastMCP, one module each."""
