import itertools
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from ganime.errors import ConfigError
from ganime.report import ReportInputs, build_report, report_key
from ganime.report.examples import closest
from ganime.report.model import group_metrics
from ganime.rows import DecisionRow, EvaluationRow
from ganime.store.manifest import Table
from ganime.store.workspace import Workspace


class Outline(HTMLParser):
    """Tags and attributes as a browser would see them."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attributes)))

    def handle_data(self, data: str) -> None:
        self.text.append(data)

    def values(self, tag: str, attribute: str) -> list[str]:
        return [
            found[attribute] or ""
            for name, found in self.tags
            if name == tag and attribute in found
        ]


def page_of(workspace: Workspace, inputs: ReportInputs) -> str:
    return workspace.read_bytes(build_report(workspace, inputs)).decode()


@pytest.fixture(scope="module")
def page(made: Any) -> str:
    return page_of(made.workspace, made.inputs)


def test_it_lies_where_its_key_says(made: Any, page: str) -> None:
    key = report_key(made.inputs.run_id)
    assert key == f"reports/{made.inputs.run_id}/index.html"
    assert made.workspace.read_bytes(key).decode() == page


def test_the_same_run_gives_the_same_bytes(made: Any, page: str) -> None:
    assert page_of(made.workspace, made.inputs) == page


def test_it_loads_nothing_from_anywhere(page: str) -> None:
    outline = Outline(page)
    sources = [
        value
        for tag in ("img", "script", "iframe", "source")
        for value in outline.values(tag, "src")
    ]
    assert len(sources) > 50
    assert all(value.startswith("data:image/webp;base64,") for value in sources)
    assert outline.values("link", "href") == ["data:,"]
    assert "@import" not in page
    assert "url(" not in page
    policy = outline.values("meta", "content")
    assert any(value.startswith("default-src 'none'; img-src data:") for value in policy)


def test_it_weighs_less_than_a_few_megabytes(page: str) -> None:
    assert len(page) < 3_000_000


def test_a_hostile_tag_stays_text(page: str) -> None:
    outline = Outline(page)
    assert sum(tag == "script" for tag, _ in outline.tags) == 1
    assert "alert(1)</script>" not in page
    assert any("<script>alert(1)</script>\"'" in text for text in outline.text)
    assert not [name for _, found in outline.tags for name in found if name.startswith("on")]


def test_marks_that_reorder_text_are_made_visible(page: str) -> None:
    assert "\u202e" not in page
    assert "\ufffdgnp.exe" in page


def test_only_web_addresses_become_links(page: str) -> None:
    links = Outline(page).values("a", "href")
    posts = "https://safebooru.org/index.php?page=post&s=view&id="
    assert sum(link.startswith(posts) for link in links) > 50
    assert {link.partition(":")[0] for link in links if not link.startswith("#")} == {
        "http",
        "https",
    }
    assert "javascript:" not in page


def test_a_screen_reader_finds_its_way(page: str) -> None:
    outline = Outline(page)
    levels = [int(tag[1]) for tag, _ in outline.tags if re.fullmatch("h[1-6]", tag)]
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))
    assert len(outline.values("img", "alt")) == sum(tag == "img" for tag, _ in outline.tags)
    assert all("scope" in found for tag, found in outline.tags if tag == "th")
    ids = set(outline.values("section", "id"))
    assert {link[1:] for link in outline.values("a", "href") if link.startswith("#")} <= ids | {
        "main"
    }
    assert all(label for label in outline.values("svg", "aria-label"))


def test_it_says_the_result_in_one_sentence(page: str) -> None:
    text = " ".join("".join(Outline(page).text).split())
    assert (
        "a generator saw 40,000 of them, repeats counted, and its fd_resnet18_tags fell from"
        in text
    )
    assert "cannot be compared with published FID values" in text
    assert "Every step adds up" in text


def test_a_classifier_says_its_threshold_what_was_wished_and_what_people_think(page: str) -> None:
    text = " ".join("".join(Outline(page).text).split())
    assert "Yes is a score above 0.42. Precision 0.900 was wanted: out of reach" in text
    assert "On people's answers alone: precision 0.951 (0.810 – 0.990), recall 0.830." in text
    assert "0.748 – 0.940" in text  # the interval of its precision


def test_a_count_at_its_limit_is_not_called_close(made: Any) -> None:
    rows = Table(
        made.workspace,
        DecisionRow,
        root=f"datasets/{made.inputs.dataset_name}/{made.inputs.dataset_version}",
    ).rows()
    close = next(row for row in rows if row.rule == "background" and row.verdict == "keep")
    count = replace(close, rule="figures", score=1.0, threshold=1.0)
    assert closest([count, close]) == close
    assert closest([count]) == count


def test_a_persons_answer_is_marked(page: str) -> None:
    assert "<em>by hand</em>" in page
    assert "big head, short legs" in page


def test_the_floor_is_a_line_and_not_a_snapshot(page: str) -> None:
    assert "reals against reals" in page
    assert "fd_resnet18_tags_floor" not in page


def test_an_empty_workspace_gets_a_page_that_says_what_is_missing(tmp_path: Path) -> None:
    page = page_of(Workspace(str(tmp_path)), ReportInputs(run_id="empty", crawl_ids=["none"]))
    text = " ".join("".join(Outline(page).text).split())
    for said in (
        "0 posts became 0 images; no dataset was built from them.",
        "There are no images to show",
        "the run has no dataset yet",
        "No near-duplicates were dropped.",
        "No classifier answered a question in this run",
        "No model was trained in this run.",
        "No snapshot was scored in this run.",
        "The run's settings were not handed over.",
    ):
        assert said in text


def test_a_run_without_classifier_and_model_still_shows_its_funnel(made: Any) -> None:
    inputs = replace(made.inputs, run_id="part", classifiers={}, model_id="", pad_scope="")
    page = page_of(made.workspace, inputs)
    assert "no model was trained on it." in page
    assert "no thumbnail" in page
    assert "Every step adds up" in page


@pytest.mark.parametrize("figures", [None, "not json", "[]", '{"threshold": 0.5, "labels": 3}'])
def test_a_classifier_without_usable_figures_is_told_by_its_id(
    tmp_path: Path, figures: str | None
) -> None:
    workspace = Workspace(str(tmp_path))
    if figures is not None:
        workspace.write_text("classifiers/c1/figures.json", figures)
    page = page_of(workspace, ReportInputs(run_id="r", classifiers={"chibi": "c1"}))
    assert "This classifier has no figures." in page
    assert "c1" in page


def test_a_damaged_sample_grid_is_left_out(tmp_path: Path) -> None:
    workspace = Workspace(str(tmp_path))
    workspace.write_bytes("models/m1/samples/000001000.png", b"not a picture")
    page = page_of(workspace, ReportInputs(run_id="r", model_id="m1"))
    assert "No samples were drawn." in page
    assert "not finished" in page


def test_scores_at_other_counts_are_not_put_on_one_curve(made: Any) -> None:
    rows = Table(made.workspace, EvaluationRow, root=f"models/{made.inputs.model_id}").rows()
    others = [replace(row, metric="fid", num_fake=50_000) for row in rows[:2]]
    fewer = [replace(row, num_fake=10) for row in rows[:3]]
    metrics = group_metrics([*rows, *others, *fewer])
    assert [(item.name, item.last.num_fake) for item in metrics] == [
        ("fid", 50_000),
        ("fd_resnet18_tags", 1000),
        ("fd_resnet18_tags", 10),
    ]


@pytest.mark.parametrize("run_id", ["", "../x", "a/b", ".hidden", "a b"])
def test_a_run_id_that_is_no_file_name_is_refused(run_id: str) -> None:
    with pytest.raises(ConfigError, match="run_id"):
        ReportInputs(run_id=run_id)


def test_settings_are_shown_by_dotted_names(page: str) -> None:
    text = "".join(Outline(page).text)
    for name in ("source.url", "rules[0].pixels", "rules[1].exclude", "note"):
        assert name in text
    assert json.dumps("full_body standing") in text  # the command, quotes and all


def test_kept_images_that_look_alike_are_shown_side_by_side(page: str) -> None:
    assert "Alike, and both kept" in page
    assert page.count("0.812 alike") == 2
