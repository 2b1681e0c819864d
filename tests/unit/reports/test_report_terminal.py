"""The report in a few lines for the terminal."""

from sample_report import sample_report

from menon.reports import summary


def test_summary_is_short_plain_and_says_the_verdict():
    text = summary(sample_report())
    lines = text.splitlines()
    assert 12 <= len(lines) <= 20
    assert all(line.isprintable() for line in lines)
    assert "before   mixed:" in text
    assert "after    reasons:" in text
    assert any(
        line.startswith("addition, hard band") and "19 % (14–24)" in line and "76 % (70–81)" in line for line in lines
    )
    assert "3 min 07 s, 1.84 M tokens, peak memory 1.2 GB" in text
    assert lines[-1] == "again    menon run quickstart"


def test_summary_of_an_unfinished_run_says_how_to_go_on():
    text = summary({"schema": 1, "model": "m\x1b[31m", "command": "menon run x"})
    assert "has not come to a verdict. Continue it with menon run x" in text
    assert "\x1b" not in text


def test_summary_carries_warnings():
    report = sample_report()
    report["known_answers"][0]["verdict"] = "reasons"
    assert "warning  The audit says 'reasons' of scripted:reciter" in summary(report)
