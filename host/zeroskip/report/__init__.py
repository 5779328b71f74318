"""What a run cost and saved, as a terminal table, a JSON file and a self-contained HTML page."""

from .data import Layer, Report, Run
from .engines import side_by_side
from .file import FORMAT, VERSION, build, load, save
from .html import render
from .table import table

__all__ = ["FORMAT", "VERSION", "Layer", "Report", "Run", "build", "load", "render", "save", "side_by_side", "table"]
