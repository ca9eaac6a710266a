"""The contexts in which the catalogue's texts are translated (`tools/catalogs.py`)."""

TITLE = "title of a permission"
CAN = "what a permission allows"
CANNOT = "what a permission does not allow"
