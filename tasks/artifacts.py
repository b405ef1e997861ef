"""What a run shows on its page in Prefect: each artifact small, each key with a history.

Thumbnails go into markdown as data: URIs: table cells show no pictures, and a URL would need a
server of ours to be up when the page is looked at.
"""

import html
from collections.abc import Mapping, Sequence

from prefect.artifacts import create_markdown_artifact, create_table_artifact

from ganime.growth import Growth
from ganime.report.curves import Metrics, plot_of, read_metrics
from ganime.report.examples import spread
from ganime.report.funnel import read_funnel
from ganime.report.health import alarms
from ganime.report.sheets import last_sheets, read_picture
from ganime.report.thumbnails import data_uri
from ganime.report.words import number
from ganime.rows import DecisionRow, EvaluationRow
from ganime.stages import crawl
from ganime.stages.crawl import OUTCOMES, CrawlConfig
from ganime.stages.curate import DatasetRef
from ganime.store.manifest import Table
from ganime.store.pixels import Dataset, PaddedPixels, Pixels
from ganime.store.workspace import Workspace
from tasks.review_links import review_link

# Lists of artifacts send all of them whole, so each stays below 50 kB. Base64 makes 4 bytes of 3.
SIDE, MOST_EXAMPLE = 64, 1_300  # of an example [px, bytes]
NUM_EXAMPLES, NUM_PER_REASON = 26, 6
LARGEST, MOST_GRID, MOST_SHEET = 512, 16_000, 9_000  # of a sheet of samples [px, bytes]
NUM_VALUES = 20  # of each metric


def publish_crawl(workspace: Workspace, config: CrawlConfig) -> None:
    """Where the posts of each site stand, and why some have no image."""
    rows = [
        {
            "site": name,
            "posts": found.num_posts,
            **{key: found.outcomes.get(key, 0) for key in OUTCOMES},
            "MB": round(found.num_bytes / 1e6, 1),
            "why": ", ".join(
                f"{reason} {number}" for (_, reason), number in sorted(found.reasons.items())
            ),
        }
        for name, found in crawl.summaries(workspace, config).items()
    ]
    create_table_artifact(rows, key="crawl", description=f"crawl {crawl.crawl_id(config)}")


def publish_funnel(workspace: Workspace, crawl_ids: list[str], dataset: DatasetRef) -> None:
    """How many came in, were kept and were dropped, and why, step by step."""
    funnel = read_funnel(workspace, crawl_ids, dataset.name, dataset.version)
    rows = [
        {
            "stage": step.stage,
            "step": step.rule,
            "in": step.num_in,
            "kept": step.num_kept,
            "dropped": step.num_dropped,
            "why": ", ".join(f"{reason} {count}" for reason, count in step.dropped.items()),
        }
        for step in funnel.steps
    ]
    link = review_link("funnel in the review page", view="funnel")
    told = f"{dataset}: {dataset.num_images} images {link}"
    create_table_artifact(rows, key="funnel", description=told.strip())


def publish_decisions(workspace: Workspace, dataset: DatasetRef, pad_scope: str) -> None:
    """A few examples of what was kept, and of what each rule dropped."""
    table = Table(workspace, DecisionRow, root=f"datasets/{dataset}")
    dropped: dict[str, list[str]] = {}
    seen: set[str] = set()
    for row in sorted(table.rows(), key=lambda row: (row.order, row.image_id)):
        if row.verdict == "drop" and row.image_id not in seen:
            seen.add(row.image_id)
            dropped.setdefault(f"{row.rule}: {row.reason}", []).append(row.image_id)
    links = {
        name: review_link("see them", status="dropped", rule=rule, reason=reason)
        for name in dropped
        for rule, _, reason in [name.partition(": ")]
    }
    kept = [row.image_id for row in Dataset(workspace, dataset.name, dataset.version).members]
    padded = PaddedPixels(workspace, pad_scope)
    links["kept"] = review_link("see them", status="kept")
    text = decisions_text(f"Decisions of {dataset}", {"kept": kept, **dropped}, padded, links)
    create_markdown_artifact(text, key="decisions")


def publish_growth(dataset: DatasetRef, growth: Growth, *, announced: bool) -> None:
    """What came since the last retraining, and whether it is enough for the next."""
    since = f"`{dataset.name}/{growth.since}`" if growth.since else "the beginning"
    said = "A retraining was asked for." if announced else "Too few for a retraining."
    lines = [
        f"# {html.escape(str(dataset))}: {dataset.num_images} images",
        "",
        f"Since {since}: {growth.added} new images, {growth.labels} new labels. {said}",
        "",
        review_link("The funnel in the review page", view="funnel"),
    ]
    create_markdown_artifact("\n".join(lines), key="growth")


def publish_samples(workspace: Workspace, model_id: str) -> None:
    """What the last snapshot draws."""
    create_markdown_artifact(samples_text(workspace, model_id), key="samples")


def publish_monitors(workspace: Workspace, model_id: str) -> None:
    """What a training run measured of itself, and what of it was alarming."""
    text = monitors_text(model_id, read_metrics(workspace, model_id))
    create_markdown_artifact(text, key="monitors")


def publish_metrics(workspace: Workspace, model_id: str) -> None:
    """Every metric of every snapshot, of very many those spread evenly over the run."""
    by_name: dict[str, list[EvaluationRow]] = {}
    rows = Table(workspace, EvaluationRow, root=f"models/{model_id}").rows()
    for row in sorted(rows, key=lambda row: (row.metric, row.nimg)):
        by_name.setdefault(row.metric, []).append(row)
    table = [
        {
            "images shown": row.nimg,
            "metric": row.metric,
            "value": round(row.value, 3),
            "samples": row.num_fake,
            "reals": row.num_real,
            "reference": row.reference,
        }
        for found in by_name.values()
        for row in spread(found, NUM_VALUES)
    ]
    link = review_link("in the review page", view="models", model=model_id)
    create_table_artifact(table, key="metrics", description=f"model {model_id} {link}".strip())


def publish_report(workspace: Workspace, key: str) -> None:
    """Where the report is."""
    where = html.escape(workspace.describe(key))
    create_markdown_artifact(f"The report: `{where}`", key="report")


def decisions_text(
    title: str,
    groups: Mapping[str, Sequence[str]],
    padded: PaddedPixels,
    links: Mapping[str, str] | None = None,
) -> str:
    """Images by what was decided of them, as markdown, with a few examples of each.

    Args:
        title: Of it all.
        groups: Ids of images by what was decided.
        padded: Where their pixels are.
        links: To all images of a group, in markdown.
    """
    each = min(NUM_PER_REASON, max(1, NUM_EXAMPLES // len(groups))) if groups else 0
    left, lines = NUM_EXAMPLES, [f"# {html.escape(title)}"]
    for name, ids in groups.items():
        shown = [image_id for image_id in ids if image_id in padded][: min(each, left)]
        left -= len(shown)
        link = (links or {}).get(name, "")
        lines.append(f"\n**{html.escape(name)}**: {len(ids)} {link}".rstrip() + "\n")
        lines.append(
            " ".join(
                picture(padded.load([item])[0], item[:12], SIDE, MOST_EXAMPLE) for item in shown
            )
        )
    return "\n".join(lines)


def samples_text(workspace: Workspace, model_id: str) -> str:
    """The last grid, the last sheet by tags and the nearest training images, as markdown."""
    grid, by_tag = last_sheets(workspace, model_id)
    sheets = (
        ("Samples of the last snapshot", grid, MOST_GRID),
        ("The same latents with one tag after another", by_tag, MOST_SHEET),
        (
            "Left samples, right the training images nearest",
            f"models/{model_id}/nearest.png",
            MOST_SHEET,
        ),
    )
    lines = [f"# Samples of model {model_id}"]
    for title, key, most in sheets:
        image = read_picture(workspace, key) if key else None
        if image is not None:
            lines.append(f"\n**{title}**\n\n{picture(image, title, LARGEST, most)}")
    lines.append(f"\nAll of them: `{html.escape(workspace.describe(f'models/{model_id}'))}`")
    lines.append(review_link("In the review page", view="models", model=model_id))
    return "\n".join(lines)


def monitors_text(model_id: str, metrics: Metrics) -> str:
    """What was alarming; then where each metric began, what it came to, and how to read it."""
    lines = [f"# What the monitors of model {model_id} saw", ""]
    lines += [f"- {said}" for said in alarms(metrics) or ["Nothing alarming."]]
    lines += ["", "| metric | first | last | lowest | highest |", "|---|--:|--:|--:|--:|"]
    readings: dict[str, None] = {}  # a set in order
    for name, rows in sorted(metrics.items()):
        values = [row.value for row in rows]
        told = (values[0], values[-1], min(values), max(values))
        lines.append(f"| {html.escape(name)} | {' | '.join(map(number, told))} |")
        if (plot := plot_of(name)) is not None:
            readings[f"- **{plot.title}**: {plot.reading}"] = None
    return "\n".join([*lines, "", *readings])


def picture(image: Pixels, name: str, side: int, most: int) -> str:
    """An image [H, W, 3] in markdown, at most `side` px and `most` bytes before base64."""
    return f'<img alt="{html.escape(name)}" src="{data_uri(image, side, most)}">'
