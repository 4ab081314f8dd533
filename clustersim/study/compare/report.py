"""The closing report of a comparison: the figures of all options, the best by each criterion, and break-even points.

Decides which facts of a comparison fit into eighty columns, and their wording. Must not compute anything that a
`Comparison` does not. The command line calls it; the page uses the same texts and tables.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from rich.cells import cell_len
from rich.console import Console

from clustersim import stats
from clustersim.study.compare.result import (
    BreakEven,
    Comparison,
    Criterion,
    CriterionVerdict,
    OperationsPrice,
)
from clustersim.study.pages.measure_labels import format_interval
from clustersim.study.single_run.run_report import REPORT_WIDTH, Cells, Section, print_report
from clustersim.study.sweep.sweep_report import build_errors_section, locate_result

NOT_INCLUDED = (
    "load balancers, NAT gateways and data transfer, public addresses, the registry, logs and metrics, backups, "
    "support: about the same under every option, or not simulated"
)
_SIGNED_ZERO = re.compile(r"^[+-](\$?0(?:\.0+)?[a-z%]*(?: |$))")  # a difference that rounds to 0
WHOLE_DOLLARS = 100.0  # amounts from here on are shown without cents
MAX_CHANGES = 12  # shown changes of an option; the manifest has all


def print_comparison(comparison: Comparison, console: Console) -> None:
    """Print a comparison."""
    facts = list_comparison_facts(comparison)
    sections = [
        *build_option_tables(comparison),
        build_wins_section(comparison),
        *build_difference_tables(comparison),
        *build_load_tables(comparison),
        build_errors_section(comparison),
    ]
    print_report(facts, sections, locate_result(comparison), console, list_notes(comparison))


def list_comparison_facts(comparison: Comparison) -> list[tuple[str, str]]:
    """Return pairs of label and text: runs, the cheapest option, the break-even load and the price of operations."""
    runs, failed = len(comparison.summary), len(comparison.errors)
    counts = f"{runs:,}, {comparison.manifest['replications']} of each option and load, with the same random numbers"
    facts = [("runs", counts + (f"; {failed:,} failed" if failed else ""))]
    cheapest = comparison.cheapest()
    if cheapest is not None:
        cost = comparison.of_option(comparison.cost, cheapest)
        facts.append(("cheapest", f"{cheapest}, {format_figure(comparison.cost, cost)} a month"))
    if len(comparison.loads) > 1 and cheapest is not None:
        facts.append(("break-even load", describe_break_evens(comparison)))
    facts += [("operations", describe_operations_price(price)) for price in comparison.operations_prices()]
    return facts


def describe_break_evens(comparison: Comparison) -> str:
    """Describe where the cheapest option changes with the load."""
    first, last = comparison.loads[0], comparison.loads[-1]
    break_evens = comparison.break_evens()
    if not break_evens:
        return f"none from {first:g} to {last:g} times the load: {comparison.cheapest()} is the cheapest throughout"
    return "; ".join(map(_describe_break_even, break_evens))


def _describe_break_even(break_even: BreakEven) -> str:
    return (
        f"{break_even.above} from about {break_even.load:.2g} times the load on, {break_even.below} below "
        f"(between {break_even.low:g} and {break_even.high:g})"
    )


def describe_operations_price(price: OperationsPrice) -> str:
    """Describe from which price of operations Fargate costs less."""
    if price.usd.mean <= 0:
        return f"{price.fargate} costs less than {price.servers} at any price of operating servers"
    usd = format_figure("usd", price.usd)
    return f"{price.fargate} costs less than {price.servers} from {usd} of operations per server and month on"


def format_figure(measure: str, interval: stats.Interval | None, *, signed: bool = False) -> str:
    """Format a figure like `format_interval`; large amounts without cents, reservations in percent."""
    if interval is None:
        return "-"
    if "usd" in measure and max(abs(interval.mean), interval.half_width) >= WHOLE_DOLLARS:
        sign = "-" if interval.mean < 0 else "+" if signed else ""
        half = "" if interval.n < 2 else f" ±{interval.half_width:,.0f}"
        return f"{sign}${abs(interval.mean):,.0f}{half}"
    if measure.endswith("reservation_mean"):
        half = "" if interval.n < 2 else f" ±{interval.half_width:.1f}"
        return f"{interval.mean:{'+' if signed else ''}.1f}%{half}"
    return _SIGNED_ZERO.sub(r"\1", format_interval(measure, interval, signed=signed))


def build_option_tables(comparison: Comparison) -> list[Section]:
    """Return a row per criterion and a column per requested option, in several tables if they are too wide."""
    criteria, names = comparison.criteria, [each["option"] for each in comparison.requested_options]
    columns = {name: [_value(comparison, each, name) for each in criteria] for name in names}
    for each in comparison.requested_options:
        if each["why_not"]:
            columns[each["option"]] = ["cannot run", *["-"] * (len(criteria) - 1)]
    return _side_by_side("measure", [each.label for each in criteria], columns)


def _value(comparison: Comparison, criterion: Criterion, option: str) -> str:
    if option not in comparison.options:
        return "-"
    return format_figure(criterion.measure, comparison.of_option(criterion.measure, option))


def build_difference_tables(comparison: Comparison) -> list[Section]:
    """Return the paired differences of the other options from the cheapest, by criterion."""
    base = comparison.cheapest()
    others = [option for option in comparison.options if option != base]
    if base is None or not others:
        return []
    criteria = comparison.criteria
    columns = {
        option: [
            format_figure(each.measure, comparison.difference_from(each.measure, option, base), signed=True)
            for each in criteria
        ]
        for option in others
    }
    return _side_by_side(f"against {base}", [each.label for each in criteria], columns)


def _side_by_side(head: str, labels: Sequence[str], columns: dict[str, list[str]]) -> list[Section]:
    """Arrange columns beside their labels, as many per table as fit into eighty columns."""
    first = max(map(cell_len, [head, *labels]))
    sections: list[Section] = []
    chosen: list[str] = []

    def close() -> None:
        rows: list[Cells] = [
            (label, *(columns[name][number] for name in chosen)) for number, label in enumerate(labels)
        ]
        sections.append(Section((head, *chosen), [row for row in rows if set(row[1:]) != {"-"}]))

    width = first
    for name, cells in columns.items():
        needed = 2 + max(map(cell_len, [name, *cells]))
        if chosen and width + needed > REPORT_WIDTH:
            close()
            chosen, width = [], first
        chosen.append(name)
        width += needed
    close()
    return sections


def build_wins_section(comparison: Comparison) -> Section:
    """Return the winners by each criterion, and the margin to the next option."""
    if len(comparison.options) < 2:
        return Section(("criterion", "winner", "next best"))
    rows: list[Cells] = [
        (verdict.criterion.label, _winner(comparison, verdict), _margin(verdict))
        for verdict in comparison.verdicts()
    ]
    return Section(("criterion", "winner", "next best"), rows)


def _winner(comparison: Comparison, verdict: CriterionVerdict) -> str:
    if len(verdict.winners) == 1:
        return verdict.winners[0]
    if verdict.next is None and len(verdict.winners) == len(comparison.options):
        return "no difference"
    return " or ".join(verdict.winners)


def _margin(verdict: CriterionVerdict) -> str:
    if verdict.next is None:
        return "-"
    return f"{verdict.next} {format_figure(verdict.criterion.measure, verdict.margin, signed=True)}"


def build_load_tables(comparison: Comparison) -> list[Section]:
    """Return the cost of each option at each load, and the cheapest option."""
    if len(comparison.loads) < 2:
        return []
    labels = [f"{load:g} x" for load in comparison.loads]
    columns = {
        option: [
            format_figure(comparison.cost, comparison.of_option(comparison.cost, option, load))
            for load in comparison.loads
        ]
        for option in comparison.options
    }
    columns["cheapest"] = [comparison.cheapest(load) or "-" for load in comparison.loads]
    return _side_by_side("USD a month at", labels, columns)


def list_notes(comparison: Comparison) -> list[tuple[str, str]]:
    """Return the changes made for each option, why some cannot run, and the costs that no bill includes."""
    return [*_option_notes(comparison), ("not included", NOT_INCLUDED)]


def _option_notes(comparison: Comparison) -> Iterator[tuple[str, str]]:
    for each in comparison.requested_options:
        name, changes = each["option"], each["changes"]
        if each["why_not"]:
            yield name, f"cannot run this: {'; '.join(each['why_not'])}"
        if changes:
            more = len(changes) - MAX_CHANGES
            shown = [*changes[:MAX_CHANGES], *([f"{more} more in manifest.json"] if more > 0 else [])]
            yield name, "; ".join(shown)
