"""What the contract log costs: `python -m tests.bench.contract_log [--smoke | --full] [--json FILE]`.

How to read it: appends are transactions of one process, each with two leaves and their sealed payloads, by many writers at once,
with the sequencer at work beside them; the floor is the same number of transactions with one small row each and no log, in the
same run. A leaf counts as appended when its commit is durable; `published` is how long after the last of them the log had all.
Proofs and the verification are of a larger log that is made for it, with a payload beside each tenth leaf; the verification runs
in a process of its own, whose peak memory is shown. `--full` does 1,000,000 leaves. No figure ends it with 1.
"""

from __future__ import annotations

import asyncio
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, Final

import click
import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

ROOT: Final = Path(__file__).resolve().parents[2]
if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))

from connector.app import MIGRATIONS  # noqa: E402 - the path is set above when this is run as a script
from connector.audit.verifying import verify_log  # noqa: E402
from connector.log import layout, proofs  # noqa: E402
from connector.log.folder import LogFolder  # noqa: E402
from connector.log.growing import GrowingLog  # noqa: E402
from connector.log.journaling import LogJournal  # noqa: E402
from connector.log.leaf import Draft, leaf_of  # noqa: E402
from connector.log.note import NoteSigner, Verifier  # noqa: E402
from connector.log.sealing import payload_key, sealed  # noqa: E402
from connector.log.sequencer import Sequencer  # noqa: E402
from connector.log.subjects import SubjectKeys  # noqa: E402
from connector.store.control import ControlStore  # noqa: E402
from connector.store.engine import Statement  # noqa: E402
from connector.store.leaves import LeafQueue, QueuedLeaf  # noqa: E402
from connector.store.migrate import migrate  # noqa: E402
from connector.store.sqlite import SqliteEngine  # noqa: E402

ORIGIN: Final = "bench.example/log"
AT: Final = 1_790_000_000_000
APPENDS_AIM_PER_S: Final = 5_000
WRITERS: Final = 256
BATCH: Final = 4096
PROOFS: Final = 200
PAYLOAD: Final[dict[str, Any]] = {"document": {"@type": "ContractOfferMessage", "terms": [{"left": "a", "right": 3}] * 20}}


class Amount(msgspec.Struct, frozen=True):
    """How much: transactions with two leaves each, and leaves of the log that is verified."""

    transactions: int
    leaves: int


SMOKE: Final = Amount(5_000, 50_000)
FULL: Final = Amount(50_000, 1_000_000)


class Report(msgspec.Struct, frozen=True):
    """Times in seconds or ms as named, memory in MiB."""

    floor_per_s: float
    transactions_per_s: float
    appends_per_s: float
    published_s: float
    size: int
    grow_per_s: float
    inclusion_ms: float
    consistency_ms: float
    verification_s: float
    verification_mib: float
    folder_mib: float

    def lines(self) -> list[str]:
        """For people, in Markdown."""
        reached = "ok" if self.appends_per_s >= APPENDS_AIM_PER_S else "missed"
        return [
            f"| contract log, {self.size} leaves | figure | beside the floor |",
            "| --- | ---: | ---: |",
            f"| transactions with two leaves | {self.transactions_per_s:.0f} /s | "
            f"{self.floor_per_s / self.transactions_per_s:.1f} of {self.floor_per_s:.0f} /s |",
            f"| appends with durable commits | {self.appends_per_s:.0f} /s | aim {APPENDS_AIM_PER_S}: {reached} |",
            f"| all published after the last commit | {self.published_s:.2f} s | |",
            f"| the sequencer alone | {self.grow_per_s:.0f} /s | |",
            f"| inclusion proof, consistency proof (p50) | {self.inclusion_ms:.2f} ms, {self.consistency_ms:.2f} ms | |",
            f"| full verification | {self.verification_s:.1f} s, {self.verification_mib:.0f} MiB | "
            f"{self.size / self.verification_s:.0f} leaves/s |",
            f"| the folder | {self.folder_mib:.0f} MiB | |",
        ]


class OneKey:
    """A log that never changes its key."""

    def __init__(self) -> None:
        self._signer = NoteSigner(ORIGIN, Ed25519PrivateKey.generate())

    def now(self) -> NoteSigner:
        """The key."""
        return self._signer

    def of(self, verifier: Verifier) -> NoteSigner | None:
        """The key."""
        return self._signer if verifier == self._signer.verifier else None

    def known(self) -> list[Verifier]:
        """The key."""
        return [self._signer.verifier]

    def revoked(self, verifier: Verifier) -> bool:
        """Never."""
        del verifier
        return False

    def handed_over(self, verifier: Verifier) -> None:
        """Never."""
        del verifier


def new_id() -> str:
    """The id of a leaf."""
    return f"urn:uuid:{uuid.uuid4()}"


def draft(number: int) -> Draft:
    """A leaf as most are."""
    members: dict[str, str | int] = {"direction": "in", "channel": "dsp", "message": "ContractOfferMessage", "event": "received"}
    return Draft("message", members, party=f"did:web:peer{number % 50}.example", payload=PAYLOAD)


async def in_writers(count: int, work: Any) -> float:
    """Do ``work(number)`` so many times by all writers; how many a second."""
    numbers = iter(range(count))

    async def write() -> None:
        for number in numbers:
            await work(number)

    began = time.perf_counter()
    await asyncio.gather(*(write() for _ in range(WRITERS)))
    return count / (time.perf_counter() - began)


async def floor(folder: Path, count: int) -> float:
    """Transactions a second with one small row each."""
    engine = await SqliteEngine.open(folder / "floor.db")
    try:
        await engine.commit([Statement("CREATE TABLE item (id TEXT PRIMARY KEY, body TEXT) STRICT", (), None)])
        return await in_writers(
            count, lambda number: engine.commit([Statement("INSERT INTO item VALUES (?, ?)", (str(number), "x" * 400))])
        )
    finally:
        await engine.close()


async def appends(folder: Path, count: int) -> tuple[float, float]:
    """Transactions a second with two leaves each, and how long after the last the log had them all."""
    engine = await SqliteEngine.open(folder / "control.db")
    await migrate(engine, MIGRATIONS, AT)
    store, queue = ControlStore(engine), LeafQueue(engine)
    layout.make_folder(folder / "log")
    salt = layout.ensure_salt(folder / "log")
    make = partial(GrowingLog, folder / "log", ORIGIN, salt, OneKey())
    emptied = asyncio.Event()

    def told(size: int, queued: int) -> None:
        if size == 2 * count + 1 and queued == 0:
            emptied.set()

    sequencer = Sequencer(queue, make, folder / "log", salt, now_ms=lambda: AT, batch_rows=BATCH, told=told)
    with SubjectKeys(folder / "log" / "subjects.db", lambda: bytes(32)) as subjects:
        journal = LogJournal(subjects, salt, now_ms=lambda: AT, new_id=new_id, wake=sequencer.wake)

        async def commit(number: int) -> None:
            await store.commit(await journal.leaves([draft(number), draft(number)]))
            journal.queued()

        await sequencer.begin()
        task = asyncio.create_task(sequencer.run())
        try:
            per_s = await in_writers(count, commit)
            ended = time.perf_counter()
            await emptied.wait()
            return per_s, time.perf_counter() - ended
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await sequencer.close()
            await engine.close()


def leaves(count: int, salt: bytes) -> Iterator[QueuedLeaf]:
    """So many leaves, a payload beside each tenth."""
    for number in range(count):
        leaf_id, drawn = new_id(), draft(number)
        payload = sealed(PAYLOAD, payload_key(bytes(32), leaf_id), leaf_id) if number % 10 == 0 else None
        leaf = leaf_of(drawn, leaf_id, AT + number, salt, payload)
        digest, content = (None, None) if payload is None else (payload.sha256, payload.ciphertext)
        yield QueuedLeaf(leaf_id, leaf, digest, content, AT)


def grown(folder: Path, count: int) -> float:
    """Make a log of so many leaves; how many a second the sequencer's own part takes."""
    layout.make_folder(folder)
    salt = layout.ensure_salt(folder)
    growing = GrowingLog(folder, ORIGIN, salt, OneKey())
    growing.read()
    first = growing.announcement(AT)
    waiting, took = leaves(count - 1, salt), 0.0
    batch = [*([] if first is None else [first]), *islice(waiting, BATCH)]
    while batch:
        began = time.perf_counter()
        growing.grow(batch)
        took += time.perf_counter() - began
        batch = list(islice(waiting, BATCH))
    growing.close()
    return count / took


def proved(folder: Path, size: int) -> tuple[float, float]:
    """Times of an inclusion proof and of a consistency proof in ms, half of them shorter."""
    reader = LogFolder(folder)
    places = [number * size // PROOFS for number in range(1, PROOFS)]
    return (
        statistics.median(timed(lambda at=place: proofs.inclusion(reader, at, size)) for place in places),
        statistics.median(timed(lambda at=place: proofs.consistency(reader, at, size)) for place in places),
    )


def timed(work: Any) -> float:
    """What it takes, in ms."""
    began = time.perf_counter()
    work()
    return (time.perf_counter() - began) * 1000


def verified(folder: Path) -> tuple[float, float]:
    """Time in seconds and peak memory in MiB of a full verification, in a process of its own."""
    command = [sys.executable, "-m", "tests.bench.contract_log", "--verify", str(folder)]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    seconds, mib = done.stdout.split()
    return float(seconds), float(mib)


def measured(amount: Amount) -> Report:
    """Everything of one run; starts loops of its own."""
    with tempfile.TemporaryDirectory(prefix="carnet-log-") as name:
        home = Path(name)
        bare = asyncio.run(floor(home, amount.transactions))
        per_s, published_s = asyncio.run(appends(home, amount.transactions))
        folder = home / "large"
        grow_per_s = grown(folder, amount.leaves)
        inclusion_ms, consistency_ms = proved(folder, amount.leaves)
        verification_s, verification_mib = verified(folder)
        used = sum(each.stat().st_size for each in folder.rglob("*") if each.is_file())
        return Report(
            floor_per_s=bare,
            transactions_per_s=per_s,
            appends_per_s=2 * per_s,
            published_s=published_s,
            size=amount.leaves,
            grow_per_s=grow_per_s,
            inclusion_ms=inclusion_ms,
            consistency_ms=consistency_ms,
            verification_s=verification_s,
            verification_mib=verification_mib,
            folder_mib=used / (1 << 20),
        )


@click.command()
@click.option("--smoke", is_flag=True, help="50,000 leaves; without --full, too.")
@click.option("--full", is_flag=True, help="1,000,000 leaves.")
@click.option("--verify", type=click.Path(path_type=Path), help="Only verify the log in a folder: seconds, and MiB of memory.")
@click.option("--json", "target", type=click.Path(path_type=Path, dir_okay=False), help="Write the figures there, too.")
def main(smoke: bool, full: bool, verify: Path | None, target: Path | None) -> None:
    """Measure the contract log."""
    if verify is not None:
        took = timed(lambda: verify_log(verify)) / 1000
        click.echo(f"{took} {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}")
        return
    report = measured(FULL if full and not smoke else SMOKE)
    click.echo("\n".join(report.lines()))
    if target is not None:
        target.write_bytes(msgspec.json.format(msgspec.json.encode(report)))


if __name__ == "__main__":
    main()
