"""What a run cost and saved, as a terminal table, a JSON file and a self-contained HTML page."""

from .data import FORMAT, VERSION, Layer, Report, Run, build, load, save
from .engines import side_by_side
from .html import render
from .table import table

__all__ = ["FORMAT", "VERSION", "Layer", "Report", "Run", "build", "load", "render", "save", "side_by_side", "table"]
