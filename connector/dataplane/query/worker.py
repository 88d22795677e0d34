"""The process that runs one query: ``python -m connector.dataplane.query.worker``.

It reads one line of JSON (``messages.py``), answers with one line, and ends. It gives way to everything else on the machine, is
the first that a kernel short of memory takes, leaves no core behind, and does not outlive the process that started it: the kernel
kills it with its parent, and so does the end of its standard input. Nothing but the answer goes to its standard output.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import Final

import duckdb
import msgspec

from connector.dataplane.query.engine import failure, warm
from connector.dataplane.query.job import Failed, Made
from connector.dataplane.query.lean import without_pandas
from connector.dataplane.query.messages import Answer, Done, Look, Measure, Question, Seen, Unseen
from connector.dataplane.query.run import run
from connector.dataplane.query.unicity import unicity
from connector.dataplane.tables.look import examine
from connector.dataplane.tables.refused import TableRefused

_PR_SET_PDEATHSIG: Final = 1
_NICE: Final = 10
_OOM_SCORE: Final = b"900"


def settle(parent: int) -> None:
    """Lower what this process may do to others, and bind its life to its parent's."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.nice(_NICE)
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_bytes(_OOM_SCORE)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def answer(question: Question) -> Answer:
    """Do what is asked. Does not raise for what a table, a plan or a disk can be like."""
    if isinstance(question, Look):
        return _look(question)
    made = run(question.job)
    if isinstance(made, Failed):
        return Done(failed=made)
    return _measured(question, made) if isinstance(question, Measure) else Done(made=made)


def _look(question: Look) -> Answer:
    try:
        found = examine(
            Path(question.path),
            question.mapping,
            personal=question.personal,
            bases=question.bases,
            sensitive=question.sensitive,
        )
    except TableRefused as refused:
        return Unseen(refused.code, refused.reason, refused.column)
    return Seen(found.table, found.ignored, found.guessed)


def _measured(question: Measure, made: Made) -> Answer:
    job = question.job
    try:
        found = unicity(
            Path(job.output), level=job.plan.level, step_s=job.plan.step_s, cell_level=job.plan.cell_level, seed=question.seed
        )
    except (duckdb.Error, OSError) as error:
        return Done(failed=failure(error))
    finally:
        for path in (job.output, job.index, job.trips, job.keep):
            if path:
                Path(path).unlink(missing_ok=True)
    return Done(made=made, unique=found.unique if found else None, units=found.vehicles if found else 0)


def main() -> None:
    """Wait for a question, answer it, end."""
    settle(int(sys.argv[1]))
    without_pandas()
    warm()
    line = sys.stdin.buffer.readline()
    if not line.endswith(b"\n"):
        os._exit(1)
    threading.Thread(target=_end_with_input, name="input", daemon=True).start()
    question = msgspec.json.decode(line, type=Question)
    found = msgspec.json.encode(answer(question))
    sys.stdout.buffer.write(found + b"\n")
    sys.stdout.buffer.flush()


def _end_with_input() -> None:
    """The pipe ends with the process that holds its other end."""
    while os.read(0, 4096):
        pass
    os._exit(1)


if __name__ == "__main__":
    main()
