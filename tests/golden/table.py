"""A table of all worked examples of the ECS specification, with the outcomes of their tests.

    make golden            # or: python -m tests.golden.table

A number is missing if no test has its mark, or if the example is behaviour and no test of it runs a scenario (or input,
and none reads one); calls are counted while the tests run. Exit code 1 if a number is missing or a test fails.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from rich.console import Console
from rich.table import Table

from tests.golden.examples import EXAMPLES, INPUT, RUN, SUM, Example

COUNTED = {"run_scenario": RUN, "read_scenario": INPUT}


class Outcomes:
    """A pytest plugin: the outcome of each marked test, and whether it ran or read a scenario."""

    def __init__(self) -> None:
        self.tests: dict[int, list[tuple[str, bool, set[str]]]] = defaultdict(list)
        self._seen: set[str] = set()

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Wrap the counted functions in every test module."""
        for module in [
            module for name, module in sys.modules.items() if name.startswith(("tests.", "test_"))
        ]:
            for name, kind in COUNTED.items():
                if callable(getattr(module, name, None)):
                    setattr(module, name, self._counting(getattr(module, name), kind))

    def _counting(self, called: Callable[..., Any], kind: str) -> Callable[..., Any]:
        def counted(*values: Any, **named: Any) -> Any:
            self._seen.add(kind)
            return called(*values, **named)

        return counted

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Iterator[pytest.TestReport]:
        """Record the outcome under each number with which the test is marked."""
        report: pytest.TestReport = yield
        if call.when == "setup":
            self._seen = set()
        if call.when == "call" or report.failed:
            for mark in item.iter_markers("golden"):
                name = getattr(item, "originalname", None) or item.name
                self.tests[mark.args[0]].append((name, report.passed, {SUM} | self._seen))
        return report


def verdict(example: Example, tests: list[tuple[str, bool, set[str]]]) -> str:
    """Return the outcome of one example for the table."""
    if not tests:
        return "missing: no test"
    if not all(passed for _, passed, _ in tests):
        return "FAILED"
    if not any(example.proof in proofs for _, _, proofs in tests):
        return "missing: no test reads a scenario" if example.proof == INPUT else "missing: no test runs it"
    return "passed"


def main() -> int:
    """Run the marked tests and print the table; return 0 if it is complete, else 1."""
    outcomes = Outcomes()
    pytest.main(
        ["-m", "golden", "-q", "--no-header", "-p", "no:cacheprovider", "-n", "0", "tests"], [outcomes]
    )
    table = Table(title="Worked examples of the ECS specification, section 13")
    for heading in ("", "Example", "Tests", "By", "Outcome"):
        table.add_column(heading)
    bad = 0
    for number, example in EXAMPLES.items():
        tests = outcomes.tests.get(number, [])
        outcome = verdict(example, tests)
        bad += outcome != "passed"
        table.add_row(str(number), example.summary, str(len(tests)), example.proof, outcome)
    Console().print(table)
    unknown = sorted(set(outcomes.tests) - set(EXAMPLES))
    if unknown:
        print(f"Tests are marked with numbers that no example has: {unknown}")
    print(f"{len(EXAMPLES) - bad} of {len(EXAMPLES)} examples are proven, {bad} are not.")
    return int(bool(bad or unknown))


if __name__ == "__main__":
    sys.exit(main())
