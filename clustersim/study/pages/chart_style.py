"""The style of all charts on pages: colours, sizes, and the conversion of an altair chart to a specification.

Must not know what a chart shows. The chart modules of sweeps and comparisons use it, and import it only when a page
is made.
"""

from __future__ import annotations

from typing import Any

Spec = dict[str, Any]
"""A Vega-Lite specification."""

CHART_WIDTH, CHART_HEIGHT = 400, 250  # pixels of the plot, without axes
INK = "#1f2933"  # text, axes and intervals
MARK = "#1f6feb"  # marks of a single series
SOFT = "#9aa5b1"  # marks in the background
COLOURS = ["#1f6feb", "#d9730d", "#2f9e44", "#c2255c", "#7048e8", "#0c8599", "#a61e4d", "#5c940d"]


def build_spec(chart: Any, width: int, height: int = CHART_HEIGHT) -> Spec:
    """Return the specification of an altair chart in the style of the pages; width and height in pixels."""
    styled = (
        chart.properties(width=width, height=height)
        .configure_axis(
            labelColor=INK, titleColor=INK, gridColor="#e9eef3", titleFontWeight=500, labelFontSize=12
        )
        .configure_view(stroke=None)
        .configure_legend(labelColor=INK, titleColor=INK)
    )
    spec: Spec = styled.to_dict()
    return spec
