"""What to do about an error, by its code: literal tables that command line and Python client share. Imports nothing of ours.

A code never changes between releases. The first part are the codes that the command line gives itself; a test holds that it gives
no other. The second are codes of the connector that a person meets and whose sentences do not say what to do.
"""

import re
from typing import Final

_ASKS: Final = re.compile(
    r"(?:add|ask|begin|check|choose|correct|create|finish|free|give|have|install|keep|leave|let|look|make|name|pin|publish|put|read"
    r"|remove|request|restart|restore|run|say|see|send|set|sign|slow|split|start|take|try|use|wait|write)\b"
)
"""With one of these begins what a reason says is to be done, after its last semicolon."""
_OTHERS_WORDS: Final = frozenset({"peer-refused", "token-refused"})
"""Reasons that end with what somebody else has written: nothing in them may pass for our advice."""

REMEDIES: Final[dict[str, str]] = {
    # -- of the command line --
    "backup-failed": "make room or choose another folder, then run the command again",
    "did-missing": "set participant_id in the settings to a DID, such as did:web:you.example",
    "disk-full": "make room, or name another place",
    "failed": "see what the sentence names; `carnet doctor` says what is not in order",
    "file-content": "correct the file; `carnet COMMAND --help` says what it holds",
    "file-exists": "choose another name, or remove what is there",
    "file-failed": "see that the file or folder is there, that you may use it, and that the disk has room",
    "file-not-json": "write it as JSON in UTF-8; `python3 -m json.tool FILE` shows where it is none",
    "file-too-large": "split the file",
    "findings": "correct what is listed, then try again",
    "folder-exposed": "make it the owner's alone: chmod 700 FOLDER",
    "internal": "run it again; if it comes again, report the sentence above",
    "interrupted": "look at what has begun with: carnet processes list",
    "key-missing": "put a key into CARNET_KEY, or name a file that has one with --key-file",
    "shell-unknown": "name bash, zsh or fish",
    "key-from-environment": "put a new key into that variable, then restart the connector",
    "keys-not-reloaded": "restart the connector",
    "listen-failed": "correct the address in the settings, or stop what uses it; `carnet doctor` names it",
    "log-none": "set what the log needs in the settings, then restart the connector",
    "log-not-split": "see how it stands: carnet peers show PARTICIPANT",
    "log-split-view": "see carnet peers show PARTICIPANT, talk to its operator, then: carnet peers accept-log PARTICIPANT",
    "log-key-missing": "name a DID document whose Ed25519 key signs the log, or give the key with --key",
    "log-missing": "name the folder of a log, a bundle or a view, or the settings with --config",
    "no-backup": "name a folder that `carnet backup` wrote",
    "not-proven": "keep a copy as it is, and ask whose log it is; another copy may hold",
    "offer-unchosen": "name one with --offer",
    "peer-silent": "look later; it still gets the greeting",
    "place-unknown": "set protocol.public_url, or protocol.port, in the settings",
    "policy-invalid": "correct the offer where the sentence says; `carnet explain FILE` reads it without a connector",
    "process-ended": "read what led to it: carnet processes timeline ID",
    "purpose-none": "choose another purpose; `carnet browse` shows what the offer permits",
    "purpose-unknown": "say one such as UsageBasedInsurance, or an IRI",
    "restore-failed": "use another backup, or stop the connector first",
    "schema-invalid": "install the version of carnet that wrote the database, or restore a backup",
    "settings": "correct it in the settings file; `carnet doctor` checks all of it",
    "still-waiting": "look again with: carnet processes list",
    "store-unavailable": "see that the database's disk has room or its server runs, then try again",
    "term-unknown": "name one of the terms in ARCHITECTURE.md, or its IRI",
    "terms-invalid": "correct or remove the package that announces these terms",
    "time-invalid": "write a moment with its zone, such as 2027-01-31T12:00:00Z",
    "usage": "see carnet --help",
    "option-unknown": "see carnet --help",
    "option-invalid": "see carnet --help",
    "argument-missing": "see carnet --help",
    "argument-invalid": "see carnet --help",
    "vehicle-keys-missing": "run it where the connector's folder and settings are, with --config",
    "view-ended": "ask whose log it is for another view",
    # -- of the connector --
    "connector-away": "start it with: carnet serve",
    "connector-silent": "try again; if it stays silent, see its log and `carnet doctor`",
    "channel-none": "set local.socket, or local.host and local.port, in the settings",
    "address-open": "give an https address",
    "authorities-invalid": "name a file with PEM certificates",
    "approval-given": "let somebody else who is asked decide",
    "approval-needed": "approve it: carnet approve ID",
    "approval-own": "let somebody else who is asked approve it",
    "approval-role": "let somebody decide who has one of these roles",
    "credential-form": "give a key as it was shown when it was made",
    "credential-missing": "put a key into CARNET_KEY, or name a file that has one with --key-file",
    "key-expired": "ask who runs the connector for another key",
    "key-form": "give a key as it was shown when it was made",
    "key-revoked": "ask who runs the connector for another key",
    "key-vehicle": "with the role driver give --vehicle NUMBER: carnet consents number VEHICLE",
    "key-id-unknown": "look its id up: carnet access list",
    "key-unknown": "give a key as it was shown when it was made, and the address of the connector that made it",
    "scope-missing": "ask who runs the connector for a key with one of these roles",
    "agreements-in-force": "wait until they have ended, or erase all the same with --force",
    "answer-invalid": "see which program has the address of the settings' [local] section",
    "agreement-several": "name one of them: carnet contracts list",
    "agreement-unknown": "look its id up: carnet contracts list",
    "agreement-unsigned": "ask again when the negotiation is finalized; who has signed: carnet contracts show",
    "body-invalid": "correct what the sentence names; `carnet COMMAND --help` says what is taken",
    "data-plane-away": "try again in a moment; `carnet doctor` says why if it stays away",
    "data-plane-failed": "see the data plane's lines in the connector's log",
    "dataset-unknown": "look its id up: carnet browse",
    "duty-unknown": "look its id up: carnet duties",
    "illegal-transition": "see how it stands: carnet processes show ID",
    "letter-unknown": "look its id up: carnet letters list",
    "nothing-pending": "see what waits for a person: carnet processes list",
    "offer-several": "name one of them: carnet browse",
    "participant-unknown": "write it down first: carnet peers add",
    "peer-unreachable": "check its address (carnet peers show) and client.allow, then try again: carnet doctor --peers",
    "policy-denied": "look at what the terms ask for: carnet explain ID, carnet simulate ID",
    "process-unknown": "look its id up: carnet processes list",
    "source_missing": "give the path of a file or folder that the connector can see",
    "source_outside": "put it below a folder of data.source_roots, or add its folder there",
    "source_path": "give a regular file, or with --table a folder, that the connector may read",
    "token-missing": "let local.token_file of these settings be that of the running connector",
    "transfer-unknown": "look its id up: carnet processes list --kind transfer",
}

BY_STATUS: Final[dict[int, str]] = {
    400: "correct what was asked for, then try again",
    401: "give a key or token that this connector knows: CARNET_KEY, or local.token_file of its settings",
    403: "look at what the terms ask for: carnet explain ID, carnet simulate ID",
    404: "look the id up: carnet browse, carnet contracts list or carnet processes list",
    409: "see how it stands now, then decide: carnet processes show ID",
    413: "send less at once",
    429: "wait a moment, then try again",
    500: "see the connector's log; `carnet doctor` says what is not in order",
    503: "try again in a moment; `carnet doctor` says what is not in order",
}
"""For a code that has none: by the HTTP status of the refusal, or its hundreds."""


def parted(code: str, reason: str) -> tuple[str, str]:
    """A reason as sentence and remedy: what the reason asks for after its last semicolon, else what its code has; "" for nothing
    known."""
    sentence, _, rest = reason.rpartition("; ")
    if sentence and code not in _OTHERS_WORDS and _ASKS.match(rest):
        return sentence, rest
    return reason, REMEDIES.get(code, "")


def by_status(status: int) -> str:
    """What to do about a refusal of which only the HTTP status is known."""
    return BY_STATUS.get(status) or BY_STATUS.get(status // 100 * 100) or BY_STATUS[500]
