"""x"""

from clustersim.study.comparison_results import Comparison


def page_of_comparison(c: Comparison) -> str:
    """x."""
    return "<html></html>"
