"""Old months outside the database, and reading them there.

Months leave as wholes and in order: on PostgreSQL each is a partition, so deleting one is one DROP. Postings, the ends
of streams, tiles and checkpoints stay, so searches and proofs do not need the archive. A month is deleted only after
all of it was read back and each entry was compared with its row, because the tree does not cover the ciphertext of
personal data.
"""
