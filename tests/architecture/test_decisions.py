"""The index of decision records is what the records say."""

import re
from pathlib import Path

import pytest

DECISIONS = Path(__file__).resolve().parents[2] / "docs" / "decisions"
RECORDS = sorted(DECISIONS.glob("[0-9]*.md"))


def _row(record: Path) -> str:
    text = record.read_text()
    title = text.splitlines()[0].removeprefix("# ").split(": ", 1)[1]
    found = re.search(r"^Status: (.+)$", text, re.M)
    assert found, f"{record.name} has no status"
    return f"| [{record.name[:4]}]({record.name}) | {title} | {found[1]} |"


def test_the_index_lists_every_record_as_it_is() -> None:
    """A record that is added, renamed or superseded shows in the index."""
    rows = [line for line in (DECISIONS / "README.md").read_text().splitlines() if line.startswith("| [")]
    assert rows == [_row(record) for record in RECORDS]


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.stem)
def test_a_record_has_its_sections(record: Path) -> None:
    """Status, context, decision, consequences, in that order."""
    sections = re.findall(r"^## (.+)$", record.read_text(), re.M)
    assert sections == ["Context", "Decision", "Consequences"]
    assert record.read_text().startswith(f"# {record.name[:4]}: ")
