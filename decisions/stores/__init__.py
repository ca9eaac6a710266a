"""The stores of decisions: three drivers that run one conversation with the database."""
