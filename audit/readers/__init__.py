"""Finding entries in the log and the journal, and what each reader sees of them."""
