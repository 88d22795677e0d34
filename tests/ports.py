"""A port for a server of a test's own, which is started a moment later: chosen as the demo chooses its ports.

Tests run beside each other, in several processes, so nobody asks the system for "any" port and gives it back:
until the server listens, the system would give the same one to the next outgoing connection.
"""

from connector.demo.houses import free_ports


def free_port() -> int:
    """A port of loopback that nobody uses now, nor soon by chance."""
    (port,) = free_ports(1)
    return port
