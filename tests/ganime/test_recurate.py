import pytest

from ganime.errors import ConfigError
from ganime.recurate import find_dataset, find_reference
from ganime.stages.curate import CurateConfig, with_changes
from ganime.store.workspace import Workspace


def test_an_option_of_one_rule_changes_and_the_others_stay() -> None:
    config = CurateConfig.parse({"rules": ["decodable", {"name": "classified", "ask": "chibi"}]})
    changed = with_changes(config, {"chibi": {"threshold": 0.7}})
    assert [rule.rule for rule in changed.rules] == ["decodable", "chibi"]
    assert changed.rules[1].threshold == 0.7
    assert config.rules[1].threshold is None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"chibbi": {"threshold": 0.5}}, "no rule is called 'chibbi'; this dataset has decodable"),
        ({"chibi": {"treshold": 0.5}}, "treshold"),
        ({"chibi": {"threshold": 7}}, "threshold"),
    ],
)
def test_a_wrong_change_is_named(changes: dict[str, dict[str, float]], message: str) -> None:
    config = CurateConfig.parse({"rules": ["decodable", {"name": "classified", "ask": "chibi"}]})
    with pytest.raises(ConfigError, match=message):
        with_changes(config, changes)


def test_an_unknown_dataset_is_asked_for_with_those_there_are(tmp_path: object) -> None:
    with pytest.raises(ConfigError, match="none yet"):
        find_dataset(Workspace(str(tmp_path)), "characters")


def test_models_are_held_against_what_both_learned_from_or_what_is_asked_for(
    tmp_path: object,
) -> None:
    store = Workspace(str(tmp_path))
    for version in ("v1", "v2"):
        store.write_text(f"datasets/girls/{version}/decisions/decisions.parquet", "")
    same, other = {"a": "girls/v1", "b": "girls/v1"}, {"a": "girls/v1", "b": "girls/v2"}

    assert str(find_reference(store, same, "")) == "girls/v1"
    assert str(find_reference(store, other, "girls/v2")) == "girls/v2"
    with pytest.raises(
        ConfigError, match=r"a learned from girls/v1 and b .* no images .* --reference"
    ):
        find_reference(store, other, "")


def test_an_imported_model_needs_a_reference_and_the_datasets_are_named(tmp_path: object) -> None:
    store = Workspace(str(tmp_path))
    elsewhere = {"a": "boys/v7"}
    with pytest.raises(ConfigError, match="holds: no dataset yet, so crawl and curate one"):
        find_reference(store, elsewhere, "")
    store.write_text("datasets/girls/v1/decisions/decisions.parquet", "")

    with pytest.raises(ConfigError, match=r"boys/v7, which is not here: .*holds: girls/v1"):
        find_reference(store, elsewhere, "")
    assert str(find_reference(store, elsewhere, "girls/v1")) == "girls/v1"
