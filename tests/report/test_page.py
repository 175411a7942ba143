"""The page: whole, self-contained, escaped, and honest about what is not there yet."""

import re
from dataclasses import replace
from html import unescape
from html.parser import HTMLParser

import pytest
from report_facts import make_advice, make_facts, make_fleet, make_picture

from headroom.report.facts import Facts, Recommendations, Tally
from headroom.report.page import Figure, figures, render_page

VOID = {"meta", "input", "br", "link", "img", "hr"}
HOSTILE = "<script>alert('x')</script>\"'&"


class Balance(HTMLParser):
    """Raises where a tag is closed that is not open, and collects ids, links and headings."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.targets: list[str] = []
        self.headings: list[int] = []
        self.scripts = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in VOID:
            self.open.append(tag)
        named = dict(attrs)
        self.ids += [named["id"] or ""] if "id" in named else []
        self.targets += [named["href"] or ""] if "href" in named else []
        self.headings += [int(tag[1])] if re.fullmatch("h[1-6]", tag) else []
        self.scripts += tag == "script"

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """A closed element: nothing stays open."""

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag


def parsed(page: str) -> Balance:
    balance = Balance()
    balance.feed(page)
    balance.close()
    assert balance.open == []
    return balance


EMPTY = Facts("w", "digest", "code", None, None, None)


@pytest.mark.parametrize("facts", [make_facts(), EMPTY], ids=["whole", "empty"])
def test_the_page_is_balanced_and_its_links_lead_somewhere(facts: Facts) -> None:
    balance = parsed(render_page(facts))
    assert len(balance.ids) == len(set(balance.ids))
    assert {target.removeprefix("#") for target in balance.targets} <= set(balance.ids)
    assert balance.headings[0] == 1
    assert balance.headings.count(1) == 1
    steps = zip(balance.headings, balance.headings[1:], strict=False)
    assert all(after <= before + 1 for before, after in steps)


def test_the_page_fetches_nothing_and_is_small() -> None:
    page = render_page(make_facts(n_pictures=24, n_advice=24))
    assert not re.search(r"https?://|//[a-z]+\.|@import|url\(|src=", page)
    assert "default-src 'none'" in unescape(page)
    assert len(page.encode()) < 3_000_000


def test_the_policy_names_the_inline_script_and_style() -> None:
    page = render_page(EMPTY)
    assert len(re.findall(r"sha256-[A-Za-z0-9+/]{43}=", page)) == 2


def test_what_comes_from_the_data_is_escaped_everywhere() -> None:
    picture = make_picture(0)
    fields = {"item_id": HOSTILE, "unit": HOSTILE, "metric": HOSTILE, "method": HOSTILE}
    hostile_picture = type(picture)(**(vars(picture) | fields | {"dimensions": {"a": HOSTILE}}))
    evidence = make_advice(1).evidence | {"unit": HOSTILE, HOSTILE: HOSTILE}
    advice = make_advice(
        1, summary=HOSTILE, target=HOSTILE, unit=HOSTILE, evidence=evidence,
        dimensions={HOSTILE: HOSTILE}, rec_type=HOSTILE,
    )  # fmt: skip
    made = Recommendations(None, 1, (), (advice,), ())
    page = render_page(
        make_facts(warehouse=HOSTILE, pictures=(hostile_picture,), recommendations=made)
    )
    assert parsed(page).scripts == 1
    assert "alert('x')" not in page


def test_sections_say_what_has_not_run() -> None:
    page = render_page(EMPTY)
    for words in (
        "No backtest has run yet",
        "<code>recommend</code> has not run",
        "<code>features</code> has not run",
        "<code>backtest</code> has not run",
        "No network was trained yet",
        "No series yet",
    ):
        assert words in page


def test_clean_data_is_told_as_such() -> None:
    fleet = replace(make_fleet(), statuses=(Tally("ok", 250),))
    page = render_page(make_facts(issues=(), rejected=(), fleet=fleet))
    assert "No issue was found in any series." in page
    assert "Nothing: every row was taken and every series is fit to be forecast." in page


def test_the_sections_show_their_facts() -> None:
    page = render_page(make_facts()).replace("\u00a0", " ")
    for words in (
        "The forecasts are 31 % better than repeating the day before.",
        "89 % of the actual values fell inside the 90 % band.",
        "Checkout in us-east runs out of capacity",
        "search/eu-west/requests",
        "the timestamp 2025-13-01 cannot be read",
        "Right-size down: too small change",
        "20251103-7f3a9c",
        "the 6 largest of 12",
        "9c1f02ab77de",
    ):
        assert words in page


def test_a_change_of_a_share_is_told_in_percent() -> None:
    entry = make_advice(1, unit="share of series trusted", current=0.857, proposed=1.0)
    page = render_page(make_facts(recommendations=Recommendations(None, 1, (), (entry,), ())))
    assert "86 % → 100 % of series trusted" in page.replace("\u00a0", " ")


def test_the_large_numbers() -> None:
    shown = {figure.name: (figure.value, figure.note) for figure in figures(make_facts())}
    assert shown == {
        "Recommendations": ("14", "worth $50,500 in 30 days"),
        "First to act by": ("17 November 2025", "checkout/us-east"),
        "Series forecast": ("250", "of 252, 48 hours ahead"),
        "Data up to": ("2 November 2025", "3 series end earlier"),
    }
    assert figures(EMPTY) == []
    early = make_facts(fleet=replace(make_fleet(), n_forecast=0), recommendations=None)
    assert figures(early)[0] == Figure("Series", "252", "none forecast yet")


def test_the_same_facts_give_the_same_page() -> None:
    assert render_page(make_facts(3, 2)) == render_page(make_facts(3, 2))
