import hashlib
import json
from pathlib import Path

import pytest

from ganime.config import Config
from ganime.errors import ConfigError
from ganime.rows import PostRow
from ganime.store.label_files import export_labels, import_labels
from ganime.store.labels import Answer, LabelLog
from ganime.store.manifest import Provenance, Table
from ganime.store.originals import Originals
from ganime.store.workspace import Workspace

CONTENTS = {f"{100 + i}": f"bytes of picture {i}".encode() for i in range(6)}
IDS = {post_id: hashlib.sha256(content).hexdigest() for post_id, content in CONTENTS.items()}


def post(post_id: str, image_id: str | None, source: str = "safebooru") -> PostRow:
    return PostRow(
        source=source,
        post_id=post_id,
        post_url=f"https://{source}/{post_id}",
        file_url=None,
        query="solo",
        position=0,
        tags=["solo"],
        artist_tags=[],
        copyright_tags=[],
        character_tags=[],
        meta_tags=[],
        rating="general",
        score=None,
        width=None,
        height=None,
        site_md5=None,
        posted_at=None,
        changed_at=None,
        state="active",
        parent_id=None,
        source_link=None,
        version=1,
        crawl_id="crawl",
        outcome="fetched" if image_id else "failed",
        reason=None if image_id else "not_found",
        transient=False,
        attempt=1,
        http_status=None,
        num_bytes=None,
        image_id=image_id,
        fetched_at=None,
        run_id="run",
    )


def fill(workspace: Workspace) -> Workspace:
    """Six originals with posts, one of them at two sites, and a post that never got its file."""
    for content in CONTENTS.values():
        Originals(workspace).put(content)
    posts = [post(post_id, image_id) for post_id, image_id in IDS.items()]
    posts += [post("9", IDS["100"], "gelbooru"), post("404", None)]
    # The same number at two sites, of different pictures.
    posts += [post("7", IDS["101"]), post("7", IDS["102"], "gelbooru")]
    provenance = Provenance(stage="crawl", revision=1, config=Config(), run_id="run")
    Table(workspace, PostRow, "crawl").write("all", posts, provenance)
    return workspace


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return fill(Workspace(str(tmp_path / "workspace")))


def write(path: Path, *lines: str) -> Path:
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def said(workspace: Workspace) -> dict[tuple[str, str], tuple[bool | None, str, str]]:
    numbers = {image_id: post_id for post_id, image_id in IDS.items()}
    return {
        (numbers[row.image_id], row.question): (row.answer, row.by, row.note)
        for row in LabelLog(workspace).current()
    }


def test_an_image_is_named_by_id_by_post_or_by_its_file(
    workspace: Workspace, tmp_path: Path
) -> None:
    (tmp_path / "mine.png").write_bytes(CONTENTS["103"])
    file = write(
        tmp_path / "labels.csv",
        "image,question,answer,by,note",
        f"{IDS['100']},chibi,yes,ann,",
        f"{IDS['101'][:8].upper()},chibi,no,ann,",
        'safebooru/102,keep,No,bob,"cropped, at the knees"',
        "mine.png,keep,yes,,",
    )

    result = import_labels(workspace, file, by="importer")

    assert (result.added, result.repeated, result.unmatched) == (4, 0, [])
    assert said(workspace) == {
        ("100", "chibi"): (True, "ann", ""),
        ("101", "chibi"): (False, "ann", ""),
        ("102", "keep"): (False, "bob", "cropped, at the knees"),
        ("103", "keep"): (True, "importer", ""),
    }
    assert {row.how for row in LabelLog(workspace).current()} == {"import"}


def test_json_lines_say_the_same_as_a_table(workspace: Workspace, tmp_path: Path) -> None:
    records = [
        {"image": "safebooru/100", "question": "chibi", "answer": "yes", "by": "ann"},
        {"image": "safebooru/101", "question": "chibi", "answer": False, "note": "tall"},
        {"image": "safebooru/100", "question": "chibi", "answer": None, "by": "ann"},
    ]
    file = write(tmp_path / "labels.jsonl", *map(json.dumps, records), "")

    assert import_labels(workspace, file, by="importer").added == 3
    assert said(workspace) == {("101", "chibi"): (False, "importer", "tall")}


def test_importing_twice_adds_nothing(workspace: Workspace, tmp_path: Path) -> None:
    lines = [f"safebooru/{post_id},chibi,yes" for post_id in IDS]
    file = write(tmp_path / "labels.csv", "image,question,answer", *lines)
    assert import_labels(workspace, file, by="ann").added == 6

    again = import_labels(workspace, file, by="ann")

    assert (again.added, again.repeated) == (0, 6)
    assert len(LabelLog(workspace).history(IDS["100"])) == 1


def test_importing_again_leaves_a_later_correction_alone(
    workspace: Workspace, tmp_path: Path
) -> None:
    file = write(tmp_path / "labels.csv", "image,question,answer", "safebooru/100,chibi,yes")
    import_labels(workspace, file, by="ann")
    correction = Answer(image_id=IDS["100"], question="chibi", answer=False)
    LabelLog(workspace).append([correction], by="ann", how="by hand")

    import_labels(workspace, file, by="ann")

    assert said(workspace) == {("100", "chibi"): (False, "ann", "")}


def test_a_file_that_grew_adds_what_is_new(workspace: Workspace, tmp_path: Path) -> None:
    file = write(tmp_path / "labels.csv", "image,question,answer", "safebooru/100,chibi,yes")
    import_labels(workspace, file, by="ann")
    with file.open("a") as more:
        more.write("safebooru/101,chibi,yes\nsafebooru/100,chibi,no\n")

    result = import_labels(workspace, file, by="ann")

    assert (result.added, result.repeated) == (2, 1)
    assert said(workspace)["100", "chibi"][0] is False


def test_one_image_of_two_posts_is_labelled_once(workspace: Workspace, tmp_path: Path) -> None:
    rows = ["safebooru/100,chibi,yes", "gelbooru/9,chibi,yes"]
    file = write(tmp_path / "labels.csv", "image,question,answer", *rows)

    result = import_labels(workspace, file, by="ann")

    assert (result.added, result.repeated) == (1, 1)


def test_what_matches_no_image_is_told_with_its_line(workspace: Workspace, tmp_path: Path) -> None:
    file = write(
        tmp_path / "labels.csv",
        "image,question,answer",
        "safebooru/999,chibi,yes",
        "safebooru/404,chibi,yes",
        "safebooru/100,chibi,yes",
        "../nowhere.png,chibi,yes",
        f"{'x' * 5000},chibi,yes",
    )

    result = import_labels(workspace, file, by="ann")

    assert result.added == 1
    assert [(item.where, item.reason) for item in result.unmatched] == [
        (f"{file}:2", "no image of this workspace"),
        (f"{file}:3", "the post has no image here"),
        (f"{file}:5", "no image of this workspace"),
        (f"{file}:6", "no image of this workspace"),
    ]
    assert "1 added, 0 known, 4 not taken" in result.lines()[0]


def test_first_digits_of_two_images_are_told(tmp_path: Path) -> None:
    workspace = Workspace(str(tmp_path / "other"))
    twins = ["abcdef" + "0" * 58, "abcdef" + "1" * 58]
    rows = [post(f"{i}", image_id) for i, image_id in enumerate(twins)]
    provenance = Provenance(stage="crawl", revision=1, config=Config(), run_id="run")
    Table(workspace, PostRow, "crawl").write("all", rows, provenance)
    file = write(tmp_path / "labels.csv", "image,question,answer", "abcdef,chibi,yes")

    (unmatched,) = import_labels(workspace, file, by="ann").unmatched

    assert unmatched.reason == "means 2 images"


def folders(root: Path) -> Path:
    for name, content in {
        "chibi/a/renamed.png": CONTENTS["100"],
        "chibi/101.jpg": b"another encoding",
        f"normal/{IDS['102'][:12]}.webp": b"another encoding",
        "normal/103.png": CONTENTS["103"],
        "normal/stranger.png": b"never seen",
        "normal/7.png": b"two sites have a post 7",
        "later/104.png": CONTENTS["104"],
        "normal/.DS_Store": b"",
    }.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return root


CLASSES = {"chibi": ("chibi", True), "normal": ("chibi", False)}


def test_folders_are_matched_by_bytes_then_by_name(workspace: Workspace, tmp_path: Path) -> None:
    root = folders(tmp_path / "classes")

    result = import_labels(workspace, root, by="ann", classes=CLASSES)

    assert {number: answer for (number, _), (answer, *_) in said(workspace).items()} == {
        "100": True,
        "101": True,
        "102": False,
        "103": False,
    }
    assert [(item.reference, item.reason) for item in result.unmatched] == [
        ("later/104.png", "its folder is no class"),
        ("normal/7.png", "means 2 images"),
        ("normal/stranger.png", "no image of this workspace"),
    ]
    again = import_labels(workspace, root, by="ann", classes=CLASSES)
    assert (again.added, again.repeated) == (0, 4)


def test_bytes_outrank_the_name_of_a_file(workspace: Workspace, tmp_path: Path) -> None:
    root = tmp_path / "classes"
    (root / "chibi").mkdir(parents=True)
    (root / "chibi" / "101.png").write_bytes(CONTENTS["100"])

    import_labels(workspace, root, by="ann", classes={"chibi": ("chibi", True)})

    assert set(said(workspace)) == {("100", "chibi")}


def test_an_image_in_both_folders_gets_no_answer(workspace: Workspace, tmp_path: Path) -> None:
    root = folders(tmp_path / "classes")
    (root / "normal" / "copy.png").write_bytes(CONTENTS["100"])

    result = import_labels(workspace, root, by="ann", classes=CLASSES)

    assert ("100", "chibi") not in said(workspace)
    told = [item.reference for item in result.unmatched if "other answer" in item.reason]
    assert told == ["chibi/a/renamed.png", "normal/copy.png"]


@pytest.mark.parametrize("classes", [None, {"chibi": ("chibi", True), "tall": ("chibi", False)}])
def test_classes_that_do_not_fit_the_folder_are_refused(
    workspace: Workspace, tmp_path: Path, classes: dict[str, tuple[str, bool]] | None
) -> None:
    with pytest.raises(ConfigError, match="holds the folders a, chibi, later, normal; classes"):
        import_labels(workspace, folders(tmp_path / "c"), by="ann", classes=classes)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", "", "is empty"),
        ("a.csv", "image,answer\n", r"a\.csv:1 names image, answer; wanted image, question"),
        ("a.csv", "image,question,answer,nots\n", "rename or delete"),
        ("a.csv", "image,question,answer\na,b\n", r"a\.csv:2 has 2 cells, wanted 3"),
        ("a.csv", 'image,question,answer\n"a,b,yes\n', r"a\.csv:2 is not CSV"),
        ("a.csv", "image,question,answer\na,chibi,maybe\n", r"a\.csv:2: the answer is 'maybe'"),
        ("a.csv", "image,question,answer\na,Is it?,yes\n", r"a\.csv:2: the question is 'Is it"),
        ("a.csv", "image,question,answer\n ,chibi,yes\n", r"a\.csv:2: image is empty"),
        ("a.csv", 'image,question,answer,note\nb,c,yes,"1\n2"\na,b\n', r"a\.csv:4 has 2 cells"),
        ("a.csv", b"image,question,answer\n\xff,b,yes\n", r"a\.csv:2 is not UTF-8"),
        ("a.jsonl", '{"image": 3}\n', r"a\.jsonl:1 names image; wanted"),
        ("a.jsonl", "\n{\n", r"a\.jsonl:2 is not JSON"),
        ("a.jsonl", "[1]\n", r"a\.jsonl:1 is not an object"),
        ("a.jsonl", '{"image": 3, "question": "b", "answer": true}\n', ":1: image is 3, wanted"),
        ("a.jsonl", '{"image": "\\ud800", "question": "b", "answer": true}\n', "wanted text"),
        ("a.jsonl", '{"image": "a", "question": "b", "answer": 1}\n', ":1: answer is 1, wanted"),
        ("a.txt", "", r"neither \.csv nor \.jsonl"),
    ],
)
def test_a_malformed_file_is_named_with_its_line_and_changes_nothing(
    workspace: Workspace, tmp_path: Path, name: str, content: str | bytes, message: str
) -> None:
    file = tmp_path / name
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ConfigError, match=message):
        import_labels(workspace, file, by="ann")
    assert LabelLog(workspace).current() == []


def test_a_label_of_nobody_is_refused(workspace: Workspace, tmp_path: Path) -> None:
    file = write(tmp_path / "a.csv", "image,question,answer", "safebooru/100,chibi,yes")
    with pytest.raises(ConfigError, match=r"a\.csv:2 does not say by whom"):
        import_labels(workspace, file, by="")


def test_a_file_that_is_not_there_is_named(workspace: Workspace, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"cannot read the labels in .*none\.csv"):
        import_labels(workspace, tmp_path / "none.csv", by="ann")


def talk(workspace: Workspace) -> None:
    log = LabelLog(workspace)
    for post_id, question, answer, by, note in [
        ("100", "chibi", True, "ann", 'says "hm", \r\nand\rmore,\u2028the end 猫'),
        ("100", "keep", False, "bob", ""),
        ("101", "chibi", True, "ann", ""),
        ("101", "chibi", False, "bob", ""),
        ("101", "chibi", True, "ann", "after all"),
        ("102", "chibi", True, "ann", ""),
        ("102", "chibi", None, "ann", "not sure"),
    ]:
        entry = Answer(image_id=IDS[post_id], question=question, answer=answer, note=note)
        log.append([entry], by=by, how="by hand")


@pytest.mark.parametrize("name", ["labels.csv", "labels.jsonl"])
@pytest.mark.parametrize("all_events", [False, True])
def test_what_is_exported_comes_back(
    workspace: Workspace, tmp_path: Path, name: str, all_events: bool
) -> None:
    talk(workspace)
    other = fill(Workspace(str(tmp_path / "other")))

    count = export_labels(workspace, tmp_path / "out" / name, all_events=all_events)
    result = import_labels(other, tmp_path / "out" / name, by="importer")

    assert count == result.added == (7 if all_events else 3)
    assert said(other) == said(workspace)
    if all_events:
        for image_id in IDS.values():
            first, second = (
                [(row.question, row.answer, row.by, row.note) for row in log.history(image_id)]
                for log in (LabelLog(workspace), LabelLog(other))
            )
            assert second == first
    assert import_labels(other, tmp_path / "out" / name, by="importer").added == 0


def test_an_export_replaces_the_file_and_leaves_nothing_beside_it(
    workspace: Workspace, tmp_path: Path
) -> None:
    path = tmp_path / "out" / "labels.csv"
    assert export_labels(workspace, path) == 0
    talk(workspace)

    assert export_labels(workspace, path) == 3

    assert [item.name for item in path.parent.iterdir()] == ["labels.csv"]
    assert path.read_text().startswith("image,question,answer,by,note,at,how\n")


def test_an_export_of_an_unknown_kind_is_refused(workspace: Workspace, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="neither"):
        export_labels(workspace, tmp_path / "labels.xlsx")
