"""Each test that the page on bad input names is there."""

import re
from pathlib import Path

TESTS = Path(__file__).parent
PAGE = TESTS.parent / "docs" / "bad-input.md"


def test_every_line_names_tests_that_exist() -> None:
    lines = [line for line in PAGE.read_text().splitlines() if line.startswith("| ")][1:]
    assert [line.split("|")[1].strip() for line in lines[:30]] == [str(n) for n in range(1, 31)]
    code = "\n".join(path.read_text() for path in TESTS.rglob("test_*.py"))
    there = set(re.findall(r"def (test_\w+)\(", code))
    for line in lines:
        named = re.findall(r"`(test_\w+)`", line.split("|")[4])
        assert named, line
        assert set(named) <= there, line
