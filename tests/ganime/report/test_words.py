import itertools
from datetime import timedelta

import pytest

from ganime.report import words
from ganime.report.charts import Series, histogram_chart, line_chart, nice_steps, smoothed


@pytest.mark.parametrize(
    "url",
    [
        None,
        "",
        "javascript:alert(1)",
        "JaVaScRiPt:alert(1)",
        " javascript:alert(1)",
        "java\nscript:alert(1)",
        "data:text/html,<script>",
        "file:///etc/passwd",
        "//host/path",
        "https://",
        "https:///path",
        "http://[::1",
        "https://host/\u202egnp",
        "vbscript:x",
    ],
)
def test_what_is_no_web_address_never_becomes_a_link(url: str | None) -> None:
    assert words.web_link(url) is None


@pytest.mark.parametrize("url", ["https://host/a?b=c&d=e#f", "http://127.0.0.1:8351/post/1"])
def test_a_web_address_becomes_a_link(url: str) -> None:
    assert words.web_link(url) == url


def test_a_host_is_told_without_credentials() -> None:
    assert words.host("https://me:secret@img.host:8080/x") == "img.host:8080"
    assert words.host("file:///x") is None


def test_controls_and_direction_marks_become_visible() -> None:
    assert words.visible("a\x00b\u202ec\u2067d\ud800") == "a\ufffdb\ufffdc\ufffdd\ufffd"
    assert words.visible("日本語 עברית\n") == "日本語 עברית\n"
    assert words.visible(3) == 3


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (1234.5, "1,234"),
        (88.44, "88.4"),
        (0.5, "0.50"),
        (0.0012, "0.0012"),
        (7, "7"),
        (float("nan"), "not finite"),
    ],
)
def test_numbers_have_as_many_decimals_as_they_are_worth(value: float, text: str) -> None:
    assert words.number(value) == text


def test_a_share_never_hides_the_few() -> None:
    assert words.share(1, 100_000) == "<0.1 %"
    assert words.share(99_999, 100_000) == ">99.9 %"
    assert words.share(0, 5) == "0 %"
    assert words.share(5, 5) == "100 %"
    assert words.share(0, 0) == "–"


def test_spans_are_told_in_two_units() -> None:
    assert words.duration(timedelta(seconds=451)) == "7 min 31 s"
    assert words.duration(timedelta(hours=5, minutes=3)) == "5 h 3 min"


@pytest.mark.parametrize(
    ("low", "high"), [(0, 1), (0, 87.3), (-3, 4), (5, 5), (0, 0), (1e-9, 3e-9)]
)
def test_axis_steps_are_even_and_enclose_the_values(low: float, high: float) -> None:
    steps = nice_steps(low, high)
    gaps = [after - before for before, after in itertools.pairwise(steps)]
    assert steps[0] <= low
    assert steps[-1] >= high
    assert max(gaps) == pytest.approx(min(gaps))


def test_smoothing_starts_at_the_first_value_and_skips_what_is_not_finite() -> None:
    assert smoothed([(1, 4.0), (2, float("nan")), (3, 4.0)], 10) == [(1, 4.0), (3, 4.0)]


def test_a_line_runs_from_corner_to_corner() -> None:
    chart = line_chart("t", [Series("a", [(0, 0), (10, 5)])], x_label="x", summary="s")
    assert chart is not None
    assert chart.lines[0].path == "M46.0 196.0 L388.0 14.0"


def test_without_a_finite_point_there_is_no_plot() -> None:
    assert line_chart("t", [Series("a", [(1, float("inf"))])], x_label="x", summary="s") is None
    assert (
        histogram_chart("t", [("a", "a", [0, 0])], x_label="x", summary="s", threshold=None) is None
    )


def test_bars_are_stacked_without_gaps() -> None:
    chart = histogram_chart(
        "t",
        [("no", "keep", [9, 0]), ("yes", "drop", [7, 4])],
        x_label="x",
        summary="s",
        threshold=0.5,
    )
    assert chart is not None
    below, above = chart.bars[0], chart.bars[1]
    assert below.x == above.x
    assert above.y + above.height == pytest.approx(below.y, abs=0.11)
    assert [bar.title for bar in chart.bars][1] == "yes: 7 from 0.00 to 0.50"
