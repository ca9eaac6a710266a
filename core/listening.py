"""Check the address that the server is to listen on."""

import errno
import socket


def problem_with_address(host: str, port: str) -> str:
    """Return why the server cannot listen on this address and what to do, or an empty string if it can."""
    if not port.isdecimal() or not 1 <= int(port) <= 65535:
        return "API_PORT must be a whole number between 1 and 65535"
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        socket.create_server((host, int(port)), family=family).close()
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            return f"port {port} is in use; stop the other program, or set API_PORT to another port"
        reason = str(error.strerror).partition(" (")[0]  # in parentheses, Python repeats the address
        return f"cannot listen on {host}, port {port}: {reason}; change HOST or API_PORT"
    return ""
