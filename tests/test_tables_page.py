"""docs/tables.md is made from the schemas by `make docs`; this test says when it is stale."""

import re
from pathlib import Path

from headroom import columns
from headroom.schemas import TABLES, Table

PAGE = Path(__file__).parent.parent / "docs" / "tables.md"
CONSTANT = re.compile(r'^[A-Z0-9_]+ = "([a-z0-9_]+)"(?:  # (.+))?$')
HEAD = """# Tables

Delta, one folder each under `warehouse`, or tables of `catalog.schema`. Times are UTC. Made from
`lib/headroom/schemas.py` by `make docs`.
"""


def meanings() -> dict[str, str]:
    source = Path(columns.__file__).read_text(encoding="utf-8")
    found = (CONSTANT.match(line) for line in source.splitlines())
    return {match[1]: match[2] or "" for match in found if match}


def section(table: Table, meaning: dict[str, str]) -> str:
    key = ", ".join(f"`{name}`" for name in table.key) or "none, as it came"
    lines = [f"## {table.name}", "", f"Key: {key}.", "", "| column | type | |", "|---|---|---|"]
    for field in table.schema:
        kind = field.dataType.simpleString().replace("|", "\\|")
        lines.append(f"| `{field.name}` | {kind} | {meaning.get(field.name, '')} |")
    if table.checks:
        lines += ["", "Always holds: " + "; ".join(f"`{check}`" for _, check in table.checks) + "."]
    return "\n".join(lines) + "\n"


def page() -> str:
    meaning = meanings()
    return "\n".join([HEAD, *(section(table, meaning) for table in TABLES.values())])


def test_the_page_of_tables_is_fresh() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run `make docs`"


def test_keys_are_columns() -> None:
    for table in TABLES.values():
        assert set(table.key) <= set(table.schema.names)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
