from pathlib import Path

import pytest
from pydantic import Field

from ganime.config import Config, overlay, parse_sets, read_toml
from ganime.errors import ConfigError


class Inner(Config):
    size: int = Field(64, ge=32)


class Outer(Config):
    inner: Inner = Inner()
    name: str = "x"


def test_sets_are_read_as_toml_else_as_text() -> None:
    assert parse_sets(["a.b=3", "a.c=true", "d=[1, 2]", "e=plain words", 'f="3"']) == {
        "a": {"b": 3, "c": True},
        "d": [1, 2],
        "e": "plain words",
        "f": "3",
    }


@pytest.mark.parametrize("pair", ["a", "=3", ".a=3", "a.=3"])
def test_a_set_without_key_or_value_is_refused(pair: str) -> None:
    with pytest.raises(ConfigError, match="wanted KEY=VALUE"):
        parse_sets([pair])


def test_overlay_merges_tables_and_replaces_values() -> None:
    base = {"a": {"b": 1, "c": 2}, "d": [1]}
    assert overlay(base, {"a": {"b": 9}, "d": [2]}) == {"a": {"b": 9, "c": 2}, "d": [2]}
    assert base == {"a": {"b": 1, "c": 2}, "d": [1]}


def test_a_value_and_its_parts_are_not_merged() -> None:
    with pytest.raises(ConfigError, match=r"crawl is given as 3, .*\(crawl\.tags, crawl\.limit\)"):
        overlay({"crawl": 3}, {"crawl": {"tags": "solo", "limit": 5}})
    with pytest.raises(ConfigError, match=r"train is given as .*say either"):
        parse_sets(["train=none", "train.nimg=3"])


def test_an_unknown_setting_is_named() -> None:
    with pytest.raises(ConfigError, match=r"inner\.colour: unknown setting"):
        Outer.parse({"inner": {"colour": 1}})


def test_of_unknown_settings_the_likeliest_is_named_else_all_there_are() -> None:
    with pytest.raises(ConfigError, match=r"^inner\.sise: unknown setting; did you mean size\?$"):
        Outer.parse({"inner": {"sise": 1}})
    with pytest.raises(ConfigError, match=r"^colour: unknown setting; known: inner, name$"):
        Outer.parse({"colour": 1})


def test_a_value_out_of_range_is_named_with_what_was_given() -> None:
    with pytest.raises(ConfigError, match=r"inner\.size: .*greater than or equal to 32.*got 3"):
        Outer.parse({"inner": {"size": 3}})


def test_equal_settings_have_equal_digests() -> None:
    assert Outer.parse({"inner": {"size": 64}}).digest() == Outer().digest()
    assert Outer.parse({"inner": {"size": 65}}).digest() != Outer().digest()


def test_a_broken_settings_file_is_named(tmp_path: Path) -> None:
    broken = tmp_path / "broken.toml"
    broken.write_text("a = [")
    with pytest.raises(ConfigError, match=r"broken\.toml is not valid TOML"):
        read_toml(broken)
    with pytest.raises(ConfigError, match=r"cannot read the settings file .*missing\.toml"):
        read_toml(tmp_path / "missing.toml")


def test_a_setting_without_a_value_is_named_with_what_it_is() -> None:
    class Folder(Config):
        path: str = Field(description="A folder of images.")

    with pytest.raises(ConfigError, match=r"^path: has no value; wanted: A folder of images\.$"):
        Folder.parse({})
