"""What all pages share: the template engine, the style, and nested parameters as rows."""

from __future__ import annotations

import json
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

HERE = Path(__file__).parent


def render_template(template: str, **values: object) -> str:
    """The page as text; every value is shown as text, and one that is missing is an error."""
    environment = Environment(
        loader=FileSystemLoader(HERE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    css = (HERE / "report.css").read_text(encoding="utf-8")
    return environment.get_template(template).render(css=css, **values)


def flat(values: dict, before: str = "") -> list[tuple[str, str]]:
    """Nested parameters as rows of a name and a value."""
    rows: list[tuple[str, str]] = []
    for key, value in values.items():
        if isinstance(value, dict):
            rows += flat(value, f"{before}{key}.")
        else:
            rows.append((f"{before}{key}", value if isinstance(value, str) else json.dumps(value)))
    return rows
