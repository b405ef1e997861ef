import pytest

from ganime.filters import FILTERS
from ganime.filters.aspect import Aspect
from ganime.filters.background import Background
from ganime.filters.decodable import Decodable
from ganime.filters.tags import Tags
from ganime.gather import columns_of
from ganime.rows import ImageRow
from ganime.store.manifest import schema_of


def test_only_what_the_rules_look_at_is_read() -> None:
    assert columns_of([]) == []
    assert columns_of([Decodable(), Tags()]) == []
    assert columns_of([Tags(), Aspect()]) == ["height", "width"]
    assert "background_fraction" in columns_of([Background(), Aspect()])


@pytest.mark.parametrize("name", FILTERS.names())
def test_every_rule_may_be_asked_about_no_image(name: str) -> None:
    options = {"ask": "chibi"} if name == "classified" else {}
    columns = columns_of([FILTERS.build({"name": name, **options})])
    assert set(columns) <= set(schema_of(ImageRow).names)
