import numpy as np
import pytest

from ganime.metrics.comparison import Gap, verdict
from ganime.report.comparison import (
    build_comparison_page,
    comparison_page_key,
    placed,
    sentence,
    tone_of,
)
from ganime.stages.compare import Comparison, comparison_key
from ganime.store.workspace import Workspace
from ganime.training.pictures import described_png


def gap(name: str, first: float, second: float, half: float, better: str = "lower") -> Gap:
    said = verdict(first, second, better, half)
    return Gap(name, first, second, better, half, said)


COMPARISON = Comparison(
    first="aa11@100",
    second="bb22@200",
    reference="girls/v1",
    extractor=("colours", "0" * 12, "none"),
    counts=(48, 60),
    seed=0,
    paired=True,
    gaps=[gap("fd_colours", 9, 4, 2), gap("precision_colours", 0.5, 0.4, 0.2, "higher")],
    tags=[gap("solo", 0.9, 0.2, 0.1, "higher")],
    asked=[gap("<i>smile</i>", 0.3, 0.1, 0.1)],
    asked_metric="kid_colours",
    unknown=["rare"],
    seen=(0.5, 1.0),
    only_first={"now dropped by chibi": ["ab" * 32]},
    only_second={},
    settings=["- rule chibi"],
    versions={},
)


def test_an_interval_lies_on_the_side_of_the_better_one() -> None:
    lower, higher, open_question = placed(
        [gap("a", 9, 4, 2), gap("b", 0.9, 0.2, 0.1, "higher"), gap("c", 1, 1.5, 2)]
    )

    assert (lower.tone, higher.tone, open_question.tone) == ("b", "a", "")
    assert 50 < lower.low < lower.at < lower.high <= 96
    assert higher.high < 50
    assert open_question.low < 50 < open_question.high
    assert tone_of(gap("d", 2, 2, 0)) == ""


def test_the_page_says_who_leads_and_warns_of_what_one_has_seen(tmp_path: object) -> None:
    store = Workspace(str(tmp_path))
    picture = described_png(np.full((64, 144, 3), 90, np.uint8), {})
    store.write_bytes(comparison_key("aa11", "bb22", "png"), picture)

    key = build_comparison_page(store, COMPARISON)

    assert key == comparison_page_key("aa11", "bb22") == "comparisons/aa11-bb22.html"
    page = store.read_bytes(key).decode()
    assert "By fd_colours: B better by 5 ± 2 (95 %)" in page
    assert "A was trained on 50.0 % of these images and B on 100 %" in page
    assert "&lt;i&gt;smile" in page
    assert "<i>smile" not in page
    assert page.count("data:image/webp") == 1  # nobody drew a sheet by tags
    assert "Not both can be asked for <bdi>rare</bdi>" in page


def test_the_page_does_not_tell_what_an_imported_model_learned_from(tmp_path: object) -> None:
    fields = {name: getattr(COMPARISON, name) for name in Comparison.__slots__}
    found = Comparison(**{**fields, "seen": (1.0, None), "only_first": {}, "settings": []})

    page = Workspace(str(tmp_path)).read_bytes(
        build_comparison_page(Workspace(str(tmp_path)), found)
    )

    assert "100 % of these images and B on images that are not in this workspace" in page.decode()
    assert "the images that B learned from are not in this workspace" in page.decode()
    assert "Both learned from the same images" not in page.decode()


@pytest.mark.parametrize("missing", [{"asked": []}, {"tags": [], "asked": []}])
def test_what_was_not_found_is_not_counted(missing: dict[str, list[Gap]]) -> None:
    fields = {name: getattr(COMPARISON, name) for name in Comparison.__slots__}
    said = sentence(Comparison(**{**fields, **missing}))

    assert "drawing what is asked" not in said
    assert ("covering tags" in said) == ("tags" not in missing)
