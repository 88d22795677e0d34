"""Deletes of what an owner wants out of the lists; what the contract log says of it stays there. Statements only."""

from __future__ import annotations

from connector.protocol.record import Process
from connector.store.engine import Statement


def forget_process(process: Process) -> list[Statement]:
    """Delete a process that has ended, with its timeline and timers; loses the race if it is not as it was read.

    What was answered to its messages stays, so that a late copy of one begins nothing.
    """
    return [
        Statement(
            "DELETE FROM process WHERE id = ? AND version = ? AND state = ?", (process.id, process.version, process.state.value)
        ),
        Statement("DELETE FROM event WHERE process_id = ?", (process.id,), expect=None),
        Statement("DELETE FROM timer WHERE process_id = ?", (process.id,), expect=None),
    ]
