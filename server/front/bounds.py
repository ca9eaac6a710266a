"""Sizes, counts and times that bound every connection. Times are in seconds."""

KB, MB = 1024, 1024 * 1024

# One request. The largest body, of JSON for the API, is settings.DATA_UPLOAD_MAX_MEMORY_SIZE. A form of that size would
# take a third of a second to parse, in which the process decides nothing.
MAX_OAUTH_BODY = 32 * KB
# Three times the largest policy, because a form spells a byte with up to three, and room for the names of its fields.
MAX_PAGE_BODY = 256 * KB
MAX_REQUEST_LINE = 16 * KB
MAX_HEAD = 32 * KB
MAX_FIELDS = 100
HEAD_SECONDS = 10.0
BODY_SECONDS = 10.0

# One connection.
IDLE_SECONDS = 75.0
# How long an idle connection may still send a request after the stop began.
STOPPING_IDLE_SECONDS = 1.0
# How long a client may go without reading a byte of a response.
WRITE_SECONDS = 10.0
# What is read and discarded after a refusal, so that the client is not reset before it reads the answer.
DISCARD_SECONDS = 5.0
MAX_DISCARDED = 4 * MB
# Bytes of further requests that are kept while one is being answered. Reading then pauses.
MAX_AHEAD = 16 * KB

# One process.
MAX_CONNECTIONS = 1024
# Per address, except for trusted proxies, which connect for all their users. As many as may be parked.
MAX_PER_ADDRESS = 512
# Unread input and bodies of all connections together.
MAX_HELD = 64 * MB
# Replies of all connections together that clients have not read yet.
MAX_UNSENT = 64 * MB
# A larger body can take milliseconds to parse, so they are parsed one at a time.
SMALL_BODY = 8 * KB
THREADS = 8
# Beside these, for requests to decide that the event loop leaves to Django. Most of the time they wait for decisions.
DECIDING_THREADS = 8
# How many of these compute at the same time, and how many a caller has. More would delay the event loop's decisions
# by their parsing.
MAX_COMPUTING = 2
# For requests for tokens. Alone, an address or an agent has half of them, so that one whose rows are locked keeps no
# other waiting. Each more takes the interpreter lock from the others at each statement, but one alone would do nothing
# while it commits. On PostgreSQL, they wait for the database half of the time.
ISSUING_THREADS = {"sqlite": 4, "postgresql": 8}
# How long another thread may compute before Python lets the event loop go on. Its default, 5 ms, would delay decisions
# while a page is computed; with a tenth of that, switching has no measurable cost.
SWITCH_SECONDS = 0.0005
MAX_QUEUED = 256
# Responses that are generated while they are sent. Each has a thread of its own.
MAX_STREAMS = 16
# Requests that wait for an approval or for events. They hold a connection each, but no thread.
MAX_PARKED = 512
# Of these, for services that wait for revocations: anyone's agents can wait for approvals.
PARKED_FOR_REVOCATIONS = 128
# Of an organization that waits for events, or whose services wait for revocations.
MAX_PARKED_BY_OWNER = 128
# How many of these Django answers again at the same time. The other threads stay free.
MAX_RESUMING = 2
WATCH_SECONDS = 0.5
# Longer files are read while they are sent.
FILE_CHUNK = 64 * KB
STOP_SECONDS = 20
TICK_SECONDS = 0.5
