"""Cuts the input of one connection into requests."""

from api.problems import HeadTooLarge
from server.front.bounds import MAX_HEAD, MAX_REQUEST_LINE
from server.front.heads import Head, parse_head

END_OF_LINE = b"\r\n"
END_OF_HEAD = b"\r\n\r\n"


class Reader:
    """Holds the input that has not become a request yet."""

    def __init__(self) -> None:
        self.head: Head | None = None
        """The head of the request whose body is incomplete."""
        self._input: bytes | bytearray = b""
        self._body_start = 0
        self._skip = 0
        # Clients that keep a connection repeat the same head, so the last one is remembered.
        self._last_raw = b""
        self._last_head: Head | None = None

    @property
    def held(self) -> int:
        """The number of bytes in memory."""
        return len(self._input)

    @property
    def is_skipping(self) -> bool:
        return self._skip > 0

    @property
    def is_body_missing(self) -> bool:
        """Whether no byte of the body that belongs to `head` has arrived."""
        return len(self._input) == self._body_start

    def feed(self, data: bytes) -> None:
        if self._skip:
            data, self._skip = data[self._skip :], max(0, self._skip - len(data))
        if not self._input:
            self._input = data
            return
        if not isinstance(self._input, bytearray):
            self._input = bytearray(self._input)  # bytes would be copied with every piece of a long body
        self._input += data

    def read_head(self) -> Head | None:
        """Return the head at the start of the input, or None if it is incomplete. Raises a `DomainError`."""
        if self.head is not None:
            return self.head
        if self._input.startswith(END_OF_LINE):  # some clients end a body with a line end (RFC 9112 section 2.2)
            self._drop(len(END_OF_LINE))
        end = self._input.find(END_OF_HEAD, 0, MAX_HEAD)
        if end < 0:
            self._check_incomplete_head()
            return None
        self._body_start = end + len(END_OF_HEAD)
        raw = bytes(self._input[: self._body_start])
        if self._last_head is None or raw != self._last_raw:
            self._last_head = None
            self._last_head = parse_head(raw)
            self._last_raw = raw
        self.head = self._last_head
        return self.head

    def take_body(self, head: Head) -> bytes | None:
        """Return the body that belongs to `head`, or None if it is incomplete."""
        end = self._body_start + head.length
        if len(self._input) < end:
            return None
        body = bytes(self._input[self._body_start : end])
        self._drop(end)
        self.head = None
        return body

    def skip_body(self, head: Head) -> None:
        """Discard the body that belongs to `head`, including the part that has not arrived yet."""
        end = self._body_start + head.length
        self._skip = max(0, end - len(self._input))
        self._drop(end)
        self.head = None

    def clear(self) -> None:
        self._input, self.head = b"", None

    @property
    def target(self) -> str:
        """The part of the first request's target that can be read."""
        line = bytes(self._input[:MAX_REQUEST_LINE]).partition(END_OF_LINE)[0].split(b" ")
        return line[1].decode("latin-1") if len(line) > 1 else ""

    def _check_incomplete_head(self) -> None:
        if len(self._input) >= MAX_HEAD:
            raise HeadTooLarge(f"The request line and headers must be at most {MAX_HEAD} bytes.")
        if len(self._input) > MAX_REQUEST_LINE and END_OF_LINE not in self._input[: MAX_REQUEST_LINE + 2]:
            raise HeadTooLarge(f"The request line must be at most {MAX_REQUEST_LINE} bytes.")

    def _drop(self, count: int) -> None:
        if count >= len(self._input):
            self._input = b""
        elif isinstance(self._input, bytearray):
            del self._input[:count]
        else:
            self._input = self._input[count:]
