"""The verification of the live database: everything that the log stores is computed again from its entries."""
