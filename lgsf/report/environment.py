"""The templates of all pages: HTML escapes every value, unknown names are errors, one script alone may run."""

from __future__ import annotations

import base64
import hashlib

import jinja2
from markupsafe import Markup

from lgsf.render.markdown import markdown_text
from lgsf.render.numbers import unbroken
from lgsf.render.twin import flow_text
from lgsf.report.downloads import FOLDER
from lgsf.report.sections.glossary import linker


def environment(*, escape: bool) -> jinja2.Environment:
    """Templates that refuse unknown names; HTML and SVG escape every value, Markdown does so by its filter."""
    made = jinja2.Environment(
        loader=jinja2.PackageLoader("lgsf.report", "templates"),
        autoescape=escape,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    made.filters["md"] = markdown_text
    made.filters["flow"] = flow_text
    made.filters["unbroken"] = unbroken
    assert made.loader is not None
    script = made.loader.get_source(made, "page.js")[0]
    styles = [made.loader.get_source(made, name)[0] for name in ("page.css", "gallery.css")]
    made.globals["linker"] = linker
    made.globals["downloads"] = FOLDER
    made.globals["style"] = Markup("\n".join(styles))
    made.globals["script"] = Markup(script)
    # The page's own script is the only one that a browser may run, whatever a title or caption holds.
    made.globals["script_hash"] = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return made
