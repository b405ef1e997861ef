import pytest

from ganime.errors import ConfigError
from ganime.recurate import find_dataset, with_changes
from ganime.stages.curate import CurateConfig
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
