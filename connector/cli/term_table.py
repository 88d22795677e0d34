"""`python -m connector.cli.term_table ARCHITECTURE.md`: writes the table of terms of a document anew from the registry."""

import re
import sys
from pathlib import Path
from typing import Final

from policies.terms.registry import table

_MARKED: Final = re.compile(r"(<!-- terms -->\n).*?(<!-- /terms -->\n)", re.S)


def renewed(text: str) -> str:
    """A Markdown text with the table between the markers ``<!-- terms -->`` and ``<!-- /terms -->`` written anew."""
    return _MARKED.sub(lambda found: f"{found[1]}{table()}\n{found[2]}", text)


def main(document: Path) -> None:
    """Replace what stands between the markers of `document`; everything else stays as it is."""
    document.write_text(renewed(document.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m connector.cli.term_table DOCUMENT")
    main(Path(sys.argv[1]))
