from typing import Any

import pytest

from ganime.sources.dapi import parse
from ganime.sources.values import number_of, text_of, unescaped


@pytest.mark.parametrize(
    ("value", "number"),
    [(7, 7), ("7", 7), (" -7 ", -7), ("+7", 7), (0, 0), ((1 << 62) - 1, (1 << 62) - 1)],
)
def test_numbers_come_as_such_or_as_text(value: Any, number: int) -> None:
    assert number_of(value) == number


@pytest.mark.parametrize(
    "value",
    [
        *(None, "", "seven", "7 8", "1_000", "٧", "7.0", 7.5, float("inf"), float("nan")),
        *(True, [], {}, 1 << 62, -(1 << 62), "9" * 19, "9" * 5000),
    ],
    ids=lambda value: str(value)[:20],
)
def test_what_no_site_means_a_number_by_is_none(value: Any) -> None:
    assert number_of(value) is None


def test_a_site_that_says_0_where_it_does_not_know_may_say_so() -> None:
    assert [number_of(value, least=1) for value in (0, "0", -1, 1)] == [None, None, None, 1]


def test_text_is_trimmed_and_anything_else_is_empty() -> None:
    assert [text_of(value) for value in (" a &amp; b ", 5, None, ["a"])] == [
        "a &amp; b",
        "",
        "",
        "",
    ]
    assert unescaped("&nbsp;a &amp; b&#10;") == "a & b"


def test_a_character_of_thousands_of_digits_stays_as_it_is() -> None:
    hostile = f"&#{'9' * 5000};"
    assert unescaped(hostile) == hostile
    (record,) = parse(f'[{{"id": 1, "tags": "{hostile}"}}]').records
    assert unescaped(record["tags"]) == hostile
