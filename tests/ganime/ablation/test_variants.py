import pytest
from pydantic import ValidationError

from ganime.ablation import AblateConfig
from ganime.ablation.variants import Arm, decide_arms, read_variant, settings_of
from ganime.errors import ConfigError
from ganime.recurate import find_dataset
from ganime.stages.curate import CurateConfig, DatasetRef
from ganime.store.labels import Answer, LabelLog
from ganime.store.lineage import latest
from ganime.store.pixels import Dataset
from ganime.store.workspace import Workspace

CONFIG = CurateConfig.parse(
    {"rules": ["decodable", {"name": "min_side", "pixels": 100}, "aspect"], "holdout": 0.3}
)
NO_FILTERS = read_variant("no-filters: curate.rules=[]")


def decided(store: Workspace, base: DatasetRef, *texts: str, write: bool = True) -> list[Arm]:
    variants = [read_variant(text) for text in texts]
    labels = LabelLog(store).current()
    return decide_arms(store, base, variants, labels=labels, run_id="r", write=write)


@pytest.mark.parametrize(
    ("text", "name", "settings", "label"),
    [
        ("no-filters: curate.rules=[]", "no-filters", ("curate.rules=[]",), "no-filters"),
        ("chibi.threshold=0.7", "chibi.threshold=0.7", ("chibi.threshold=0.7",), None),
        ("Both: aspect=off; min_side.pixels=9", "Both", ("aspect=off", "min_side.pixels=9"), None),
        ('tags.also=["a:b"]', 'tags.also=["a:b"]', ('tags.also=["a:b"]',), "tags-also-a-b"),
    ],
)
def test_a_variant_is_a_name_and_settings(
    text: str, name: str, settings: tuple[str, ...], label: str | None
) -> None:
    variant = read_variant(text)

    assert (variant.name, variant.settings) == (name, settings)
    assert variant.label == (label or variant.label)


@pytest.mark.parametrize("text", ["", "name:", ": a.b=1", "name: ;"])
def test_a_variant_that_changes_nothing_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="wanted NAME: SETTING"):
        read_variant(text)


def test_variants_need_names_of_their_own() -> None:
    with pytest.raises(ValidationError, match="a-b names two datasets"):
        AblateConfig(variants=(read_variant("a.b: x.y=1"), read_variant("a b: x.y=2")))
    with pytest.raises(ValidationError, match="base names two datasets"):
        AblateConfig(variants=(read_variant("Base: x.y=1"),))
    with pytest.raises(ValidationError, match="at least one"):
        AblateConfig(variants=())


def test_rules_are_replaced_changed_and_switched_off_but_broken_files_stay_out() -> None:
    def rules(text: str) -> list[str]:
        return [rule.rule for rule in settings_of(CONFIG, read_variant(text)).rules]

    assert rules("curate.rules=[]") == ["decodable"]
    assert rules("decodable=off") == ["decodable", "min_side", "aspect"]
    assert rules("aspect=off; min_side.pixels=64") == ["decodable", "min_side"]
    changed = settings_of(CONFIG, read_variant("small: aspect=off; min_side.pixels=64"))
    assert changed.rules[1].pixels == 64
    assert changed.name == "characters-small"
    assert changed.holdout == CONFIG.holdout


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("curate.holdout=0.4", "only rules may differ"),
        ("curate.rules=['nonsense']", "nonsense"),
        ("chibbi=off", "no rule is called 'chibbi'; this dataset has decodable"),
        ("min_side.pixls=9", "pixls"),
        ("min_side=9", "wanted RULE.OPTION=VALUE or RULE=off"),
    ],
)
def test_a_wrong_setting_is_named(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        settings_of(CONFIG, read_variant(text))


def test_a_variant_is_a_dataset_of_the_same_facts(store: Workspace, base: DatasetRef) -> None:
    arms = decided(store, base, "no-filters: curate.rules=[]")

    assert [arm.name for arm in arms] == ["base", "no-filters"]
    assert arms[0].dataset == str(base)
    assert [arm.num_images for arm in arms] == [39, 59]
    assert arms[1].dataset.startswith("characters-no-filters/")
    assert "+20 no longer dropped by min_side" in "\n".join(arms[1].changes)
    ours, more = (Dataset(store, *arm.dataset.split("/")) for arm in arms)
    held_out = {row.image_id for row in ours.members if row.split == "holdout"}
    assert held_out <= {row.image_id for row in more.members if row.split == "holdout"}
    assert dict(latest(store))["characters"] == base.version
    # Whoever names no dataset means the one that is no variant, so that the same command goes on.
    assert find_dataset(store, "") == DatasetRef("characters", base.version, 0)


def test_the_same_variant_is_the_same_version_and_a_plan_writes_nothing(
    store: Workspace, base: DatasetRef
) -> None:
    planned = decided(store, base, "curate.rules=[]", write=False)
    assert (planned[1].dataset, planned[1].num_images) == ("", 59)
    assert not [key for key in store.list("datasets") if "curate-rules" in key]

    again = [decided(store, base, "curate.rules=[]")[1].dataset for _ in range(2)]
    assert again[0] == again[1]


def test_a_variant_that_keeps_the_same_images_is_refused(
    store: Workspace, base: DatasetRef
) -> None:
    with pytest.raises(ConfigError, match="keeps the same 39 images"):
        decided(store, base, "min_side.pixels=101")


def test_labels_given_since_the_base_was_decided_are_a_reason_to_decide_it_again(
    store: Workspace, base: DatasetRef
) -> None:
    member = Dataset(store, base.name, base.version).members[0].image_id
    answer = Answer(image_id=member, question="keep", answer=False)
    LabelLog(store).append([answer], by="ann", how="by hand")

    with pytest.raises(ConfigError, match=r"1 would go .* 0 would come .*ganime curate characters"):
        decided(store, base, "curate.rules=[]")
