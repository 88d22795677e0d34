"""`python -m connector.cli.diagrams ARCHITECTURE.md`: draws the state diagrams of a document anew from the tables."""

import sys
from pathlib import Path

from connector.protocol.drawing import renewed


def main(document: Path) -> None:
    """Replace what stands between the diagram markers of `document`; everything else stays as it is."""
    document.write_text(renewed(document.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m connector.cli.diagrams DOCUMENT")
    main(Path(sys.argv[1]))
