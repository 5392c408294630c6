"""The HTML report of a job: turns a result folder into one page and knows nothing of how it was computed."""

from .page import write_report

__all__ = ["write_report"]
