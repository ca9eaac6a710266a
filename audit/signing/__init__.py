"""Checkpoints: signed, kept outside the database, and cosigned."""
