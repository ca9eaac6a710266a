"""The log's tables, what protects them, and who may change them."""
