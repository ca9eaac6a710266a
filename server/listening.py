"""The socket that the server listens on: check its address before the start, and admit no client during a stop.

The kernel resets a client that connects between the last `accept` and `close`, and it cannot know whether its request
was carried out. So a filter on the socket drops SYN packets first: a client is answered or refused, which is safe to
repeat.
"""

import ctypes
import errno
import socket
import struct

# Linux's option, which Python does not name (<asm-generic/socket.h>).
SO_ATTACH_FILTER = 26
# A program that the kernel runs on each packet for the socket, from its TCP header on: drop the packets with the SYN
# flag, which begin a connection (RFC 9293, section 3.1), and pass all others. An instruction is an operation, how many
# instructions to skip if it is true and if it is false, and its operand (<linux/bpf_common.h>).
LOAD_BYTE, SKIP_IF_SET, RETURN = 0x30, 0x45, 0x06
FLAGS, SYN = 13, 0x02
DROP, PASS = 0, 0xFFFFFFFF
ADMIT_NONE = ((LOAD_BYTE, 0, 0, FLAGS), (SKIP_IF_SET, 0, 1, SYN), (RETURN, 0, 0, DROP), (RETURN, 0, 0, PASS))


def problem_with_address(host: str, port: str) -> str:
    """Return why the server cannot listen on this address and what to do, or an empty string if it can."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        socket.create_server((host, int(port)), family=family).close()
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            return f"port {port} is in use; stop the other program, or set API_PORT to another port"
        reason = str(error.strerror).partition(" (")[0]  # in parentheses, Python repeats the address
        return f"cannot listen on {host}, port {port}: {reason}; change HOST or API_PORT"
    return ""


def admit_none(listening: socket.socket) -> None:
    """Let no further client connect. Those that have connected already can still be accepted.

    The system of a further client tries again after a second, and is refused if the socket is closed by then. Without
    this, a client that connects just before the socket is closed, and after the last `accept`, is reset: it cannot know
    whether its request was carried out. Raises `OSError` on systems without this option.
    """
    instructions = b"".join(struct.pack("HBBI", *instruction) for instruction in ADMIT_NONE)
    program = ctypes.create_string_buffer(instructions, len(instructions))
    option = struct.pack("HP", len(ADMIT_NONE), ctypes.addressof(program))
    listening.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, option)
