"""The verification of the live database: everything that the log stores is computed again from its entries."""


class Bad(Exception):
    """The log is not what it should be. `index` is the first entry that is wrong, or None if that cannot be known."""

    def __init__(self, why: str, index: int | None = None) -> None:
        self.why = why
        self.index = index
        super().__init__(why if index is None else f"index {index}: {why}")
