"""A log as the connector itself writes it: journal, queue and sequencer over a real database, then verified and asked."""

from __future__ import annotations

import itertools
import uuid
from pathlib import Path

from connector.audit.asking import Log, Opener, Scope, lines_in
from connector.audit.opening import SubjectsKeys
from connector.audit.verifying import Surroundings, Trust, verify_log
from connector.identity import keyfiles
from connector.identity.keys import Use
from connector.log.journaling import LogJournal
from connector.log.layout import read_salt, read_vkeys
from connector.log.leaf import Draft
from connector.log.subjects import FILE, SubjectKeys
from tests.log.keeping import AT, Keeping, keeping, running

PEER = "did:web:peer.example"


async def commit(kept: Keeping, journal: LogJournal, count: int, size: int) -> None:
    drafts = [Draft("message", {"event": "received"}, party=PEER, payload={"number": number}) for number in range(count)]
    await kept.engine.commit(await journal.leaves(drafts))
    journal.queued()
    await kept.until_told(size)


async def test_what_the_connector_writes_is_verified_and_asked(tmp_path: Path) -> None:
    database = tmp_path / "control.db"
    numbers = itertools.count()
    async with keeping(str(database), tmp_path) as kept:
        secret = kept.ring.secret(Use.SUBJECTS)
        with SubjectKeys(kept.folder / FILE, lambda: secret) as subjects:
            journal = LogJournal(
                subjects,
                read_salt(kept.folder),
                now_ms=lambda: AT,
                new_id=lambda: uuid.UUID(int=next(numbers), version=4).urn,
                wake=kept.sequencer.wake,
            )
            await kept.sequencer.begin()
            async with running(kept):
                await commit(kept, journal, 300, 301)
                first = read_vkeys(kept.folder)[0].vkey
                keyfiles.rotate(kept.keys, Use.LOG, AT)
                kept.reload()
                await commit(kept, journal, 5, 307)
                around = Surroundings(keys=SubjectsKeys([each.key for each in subjects.every() if each.key]), database=database)
                done = verify_log(kept.folder, Trust((first,)), around)
                assert (done.checkpoint.size, done.queued, len(done.keys)) == (307, 0, 2)
                answer = lines_in(Log(kept.folder, around=around), Scope(party=PEER))
                log = Log(kept.folder, around=around)
                with Opener(log) as opener:
                    assert [opener.payload(line) for line in answer.lines[-5:]] == [{"number": number} for number in range(5)]
