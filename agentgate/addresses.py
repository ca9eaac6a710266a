"""Where the server listens."""

import errno
import socket


def problem_with_address(host: str, port: int) -> str:
    """Return why no server can listen there and what to do, or an empty string."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        socket.create_server((host, port), family=family).close()
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            return f"port {port} is in use; stop the other program, or set API_PORT to another port"
        return f"cannot listen on {host}, port {port}: {error.strerror}; set HOST and API_PORT"
    return ""
