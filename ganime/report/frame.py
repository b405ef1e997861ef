"""Templates to pages: escaped, in one file each, asking nothing of any server."""

import base64
import hashlib
from collections.abc import Mapping
from functools import cache
from typing import Any

import jinja2
from markupsafe import Markup

from ganime.report import charts, words


def render_report(content: Mapping[str, Any]) -> str:
    """The page of a run, the only one with a script."""
    script = _own_file("script.js")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return render("template.html", {**content, "script": Markup(script), "script_digest": digest})


def render(template: str, content: Mapping[str, Any]) -> str:
    """A page; all text is escaped.

    Args:
        template: File beside this one.
        content: What it shows, by name.
    """
    return (
        _environment().get_template(template).render(content, style=Markup(_own_file("style.css")))
    )


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("ganime", "report"),
        autoescape=True,  # for every template, whatever it is called
        undefined=jinja2.StrictUndefined,
        finalize=words.visible,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update({"chart_area": charts, "words": words})
    environment.filters.update(
        {
            "compact": words.compact,
            "count": words.count,
            "duration": words.duration,
            "moment": words.moment,
            "number": words.number,
            "say": words.say,
            "size": words.size,
        }
    )
    return environment


@cache
def _own_file(name: str) -> str:
    """Our own style and script; trusted, so they are not escaped."""
    environment = _environment()
    loader = environment.loader
    return loader.get_source(environment, name)[0] if loader else ""
