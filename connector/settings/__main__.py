"""`python -m connector.settings connector/settings/README.md` renews the tables between the marks in that file."""

import sys
from pathlib import Path

from connector.settings.document import reference

BEGIN = "<!-- settings -->\n"
END = "<!-- end of settings -->"


def renew(text: str) -> str:
    """`text` with the present tables between the marks; ValueError when the marks are missing."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the file lacks {BEGIN.strip()} and {END}")
    return f"{before}{begin}{reference()}{end}{after}"


if __name__ == "__main__":
    readme = Path(sys.argv[1])
    readme.write_text(renew(readme.read_text(encoding="utf-8")), encoding="utf-8")
