"""What the pipeline prints at its end."""

from dataclasses import replace

from report_facts import make_accuracy, make_advice, make_facts, make_score

from headroom.report.facts import Facts, Recommendations, Tally
from headroom.report.summary import lead, summary


def told(facts: Facts, path: str | None = None, colour: bool = False) -> str:
    return summary(facts, path, colour).replace("\u00a0", " ")


def test_the_summary_of_a_whole_run() -> None:
    lines = told(make_facts(), "/data/warehouse/_artifacts/report.html").splitlines()
    assert max(map(len, lines)) <= 80
    text = "\n".join(lines)
    for words in (
        "252 hourly series of 5 metrics, 1 September 2025 to 2 November 2025.",
        "2 are not fit to be forecast: short history",
        "The forecasts are 31 % better than repeating the day before.",
        "  served                    0.0698   0.745     49 %     79 %     89 %     94 %",
        "  seasonal naive            0.1012   1.080     49 %     79 %     92 %     94 %",
        "The 5 most valuable of 14 recommendations",
        "  1. Checkout in us-east runs out of capacity between 27 November and 25",
        "     worth $18,400 in 30 days · act by 17 Nov",
        "  /data/warehouse/_artifacts/report.html",
    ):
        assert words in text
    assert "  6. " not in text


def test_colour_only_where_asked() -> None:
    assert "\033[" not in told(make_facts())
    assert "\033[1mAccuracy\033[0m" in told(make_facts(), colour=True)


def test_a_run_that_stopped_early() -> None:
    text = told(Facts("w", "d", "v", None, None, None))
    assert "No series yet." in text
    assert "No backtest has run yet" in text
    assert "Report" not in text
    assert "ecommendation" not in text


def test_nothing_to_recommend_is_said() -> None:
    left = (Tally("rightsize_down: too_small_change", 21), Tally("data_gap: data_complete", 30))
    made = Recommendations(None, 0, (), (), left)
    assert "None; 51 cases considered." in told(make_facts(recommendations=made))


def test_advice_without_a_price_is_worth_nothing_in_words() -> None:
    advice = replace(make_advice(), value=0.0, act_by=None)
    text = told(make_facts(recommendations=Recommendations(None, 1, (), (advice,), ())))
    assert "\nRecommendations\n  1. " in text
    assert "worth" not in text


def test_the_lead_is_honest() -> None:
    def lead_of(ratio: float | None) -> str:
        served = make_score("served", ratio)
        accuracy = replace(make_accuracy(), scores=(served,))
        return lead(make_facts(accuracy=accuracy)).replace("\u00a0", " ").split(".")[0]

    assert lead_of(1.12) == "The forecasts are 12 % worse than repeating the day before"
    assert lead_of(0.998) == "The forecasts are as good as repeating the day before, and no better"
    assert lead_of(None) == "The seasonal naive made no error to compare with"


def test_data_cannot_steer_the_terminal() -> None:
    advice = make_advice(1, summary="a\x1b[31mred\x07\nline\u202e", value=None, act_by=None)
    made = Recommendations(None, 1, (), (advice,), ())
    text = told(make_facts(recommendations=made, warehouse="w\x1b]0;x\x07"))
    assert not any(letter in text for letter in "\x1b\x07\u202e")
    assert "  1. A [31mred line" in text


def test_long_words_stay_within_the_width() -> None:
    advice = make_advice(1, summary="x" * 300)
    made = Recommendations(None, 1, (), (advice,), ())
    text = told(make_facts(recommendations=made, warehouse="s3://bucket/" + "y" * 200))
    assert max(map(len, text.splitlines())) <= 80
