"""The stores of decisions: one conversation with the database, spoken through three drivers."""
