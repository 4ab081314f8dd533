"""A comparison in eighty columns: a table that a manager can read, who wins on what, and where that changes.

Decides what of a comparison is worth printing and how it is worded. Must not compute anything that a `Comparison`
does not. The command line calls it; the page takes its words from here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from rich.cells import cell_len
from rich.console import Console

from clustersim import stats
from clustersim.study.compare.result import BreakEven, Comparison, Criterion, OperationsPrice, Verdict
from clustersim.study.pages.metric_labels import told
from clustersim.study.single_run.run_report import WIDTH, Cells, Section, print_report
from clustersim.study.sweep.sweep_report import errors, where

NOT_IN_ANY_BILL = (
    "load balancers, NAT gateways and data transfer, public addresses, the registry, logs and metrics, backups, "
    "support: about the same under every option, or not simulated"
)
_NO_SIGN = re.compile(r"^[+-](\$?0(?:\.0+)?[a-z%]*(?: |$))")  # of what rounds to nothing
WHOLE_DOLLARS = 100.0  # from where cents only distract
NOTE_ROWS = 12  # of what was set for an option; the manifest has all


def print_comparison(comparison: Comparison, console: Console) -> None:
    """Prints a comparison."""
    facts = facts_of(comparison)
    sections = [
        *tables_of(comparison),
        wins(comparison),
        *differences(comparison),
        *loads(comparison),
        errors(comparison),
    ]
    print_report(facts, sections, where(comparison), console, notes_of(comparison))


def facts_of(comparison: Comparison) -> list[tuple[str, str]]:
    """The comparison in a few sentences."""
    runs, failed = len(comparison.summary), len(comparison.errors)
    words = f"{runs:,}, {comparison.manifest['replications']} of each option and load, with the same luck"
    facts = [("runs", words + (f"; {failed:,} failed" if failed else ""))]
    cheapest = comparison.cheapest()
    if cheapest is not None:
        cost = comparison.of_option(comparison.cost, cheapest)
        facts.append(("cheapest", f"{cheapest}, {cell(comparison.cost, cost)} a month"))
    if len(comparison.loads) > 1 and cheapest is not None:
        facts.append(("break-even load", break_even_words(comparison)))
    facts += [("operations", operations_words(price)) for price in comparison.operations_prices()]
    return facts


def break_even_words(comparison: Comparison) -> str:
    """Where the cheapest option changes with the load."""
    first, last = comparison.loads[0], comparison.loads[-1]
    found = comparison.break_evens()
    if not found:
        return f"none from {first:g} to {last:g} times the load: {comparison.cheapest()} is the cheapest throughout"
    return "; ".join(map(_break_even, found))


def _break_even(found: BreakEven) -> str:
    return (
        f"{found.above} from about {found.load:.2g} times the load on, {found.below} below "
        f"(between {found.low:g} and {found.high:g})"
    )


def operations_words(price: OperationsPrice) -> str:
    """From which price of looking after servers Fargate wins."""
    if price.usd.mean <= 0:
        return f"{price.fargate} costs less than {price.servers} whatever it costs to look after servers"
    told_price = cell("usd", price.usd)
    return f"{price.fargate} costs less than {price.servers} from {told_price} per server and month on"


def cell(measure: str, interval: stats.Interval | None, *, signed: bool = False) -> str:
    """A figure as `told` writes it; dollars without cents where there are many, reservations in percent."""
    if interval is None:
        return "-"
    if "usd" in measure and max(abs(interval.mean), interval.half_width) >= WHOLE_DOLLARS:
        sign = "-" if interval.mean < 0 else "+" if signed else ""
        half = "" if interval.n < 2 else f" ±{interval.half_width:,.0f}"
        return f"{sign}${abs(interval.mean):,.0f}{half}"
    if measure.endswith("reservation_mean"):
        half = "" if interval.n < 2 else f" ±{interval.half_width:.1f}"
        return f"{interval.mean:{'+' if signed else ''}.1f}%{half}"
    return _NO_SIGN.sub(r"\1", told(measure, interval, signed=signed))


def tables_of(comparison: Comparison) -> list[Section]:
    """A row per criterion, a column per option that was asked for; several tables where they are wide."""
    criteria, names = comparison.criteria, [each["option"] for each in comparison.asked]
    columns = {name: [_value(comparison, each, name) for each in criteria] for name in names}
    for each in comparison.asked:
        if each["why_not"]:
            columns[each["option"]] = ["cannot run", *["-"] * (len(criteria) - 1)]
    return _side_by_side("measure", [each.label for each in criteria], columns)


def _value(comparison: Comparison, criterion: Criterion, option: str) -> str:
    if option not in comparison.options:
        return "-"
    return cell(criterion.measure, comparison.of_option(criterion.measure, option))


def differences(comparison: Comparison) -> list[Section]:
    """How much more of everything the other options have than the cheapest, in pairs."""
    base = comparison.cheapest()
    others = [option for option in comparison.options if option != base]
    if base is None or not others:
        return []
    criteria = comparison.criteria
    columns = {
        option: [
            cell(each.measure, comparison.against(each.measure, option, base), signed=True)
            for each in criteria
        ]
        for option in others
    }
    return _side_by_side(f"against {base}", [each.label for each in criteria], columns)


def _side_by_side(head: str, labels: Sequence[str], columns: dict[str, list[str]]) -> list[Section]:
    """Columns of options beside their labels, as many as there is room for in one table."""
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
        if chosen and width + needed > WIDTH:
            close()
            chosen, width = [], first
        chosen.append(name)
        width += needed
    close()
    return sections


def wins(comparison: Comparison) -> Section:
    """Which option wins on what, and by how much."""
    if len(comparison.options) < 2:
        return Section(("wins on", "winner", "the next one"))
    rows: list[Cells] = [
        (verdict.criterion.label, _winner(comparison, verdict), _margin(verdict))
        for verdict in comparison.verdicts()
    ]
    return Section(("wins on", "winner", "the next one"), rows)


def _winner(comparison: Comparison, verdict: Verdict) -> str:
    if len(verdict.winners) == 1:
        return verdict.winners[0]
    if verdict.next is None and len(verdict.winners) == len(comparison.options):
        return "no difference"
    return " or ".join(verdict.winners)


def _margin(verdict: Verdict) -> str:
    if verdict.next is None:
        return "-"
    return f"{verdict.next} {cell(verdict.criterion.measure, verdict.margin, signed=True)}"


def loads(comparison: Comparison) -> list[Section]:
    """What each option costs at each load, and which is the cheapest."""
    if len(comparison.loads) < 2:
        return []
    labels = [f"{load:g} x" for load in comparison.loads]
    columns = {
        option: [
            cell(comparison.cost, comparison.of_option(comparison.cost, option, load))
            for load in comparison.loads
        ]
        for option in comparison.options
    }
    columns["cheapest"] = [comparison.cheapest(load) or "-" for load in comparison.loads]
    return _side_by_side("USD a month at", labels, columns)


def notes_of(comparison: Comparison) -> list[tuple[str, str]]:
    """What was set for each option, why some cannot run, and what is in none of these bills."""
    return [*_set(comparison), ("in no bill", NOT_IN_ANY_BILL)]


def _set(comparison: Comparison) -> Iterator[tuple[str, str]]:
    for each in comparison.asked:
        name, changes = each["option"], each["changes"]
        if each["why_not"]:
            yield name, f"cannot run this: {'; '.join(each['why_not'])}"
        if changes:
            more = len(changes) - NOTE_ROWS
            words = [*changes[:NOTE_ROWS], *([f"{more} more in manifest.json"] if more > 0 else [])]
            yield name, "; ".join(words)
