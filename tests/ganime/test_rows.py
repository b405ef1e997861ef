from dataclasses import dataclass, fields

import pytest

from ganime.rows import Row, column


@dataclass(frozen=True, slots=True, kw_only=True)
class Shelf(Row):
    """A row with one column that need not be told."""

    name: str = column("what it is called")
    height: int | None = column("[mm]; null if nobody measured", absent=0, default=None)


def test_a_column_with_a_default_need_not_be_told_and_one_without_must() -> None:
    assert Shelf(name="low").height is None
    with pytest.raises(TypeError, match="name"):
        Shelf(height=3)  # type: ignore[call-arg]


def test_what_a_new_row_holds_is_not_what_an_old_file_is_read_as() -> None:
    (_, height) = fields(Shelf)
    assert (height.default, height.metadata["absent"]) == (None, 0)
