"""The worked examples of the ECS specification, each in a line, with the kind of test that proves it.

`RUN` is behaviour: its test runs a scenario and reads the result tables. `INPUT` is the acceptance of input: its test
reads a scenario. `SUM` is arithmetic: a test of the formula is enough. The numbering has gaps; 21 is obsolete.
`tests.golden.table` and the test of MODEL.md read the list.
"""

from __future__ import annotations

from typing import NamedTuple


class Example(NamedTuple):
    """One worked example."""

    proof: str
    summary: str


RUN, INPUT, SUM = "run", "input", "sum"

EXAMPLES: dict[int, Example] = {
    1: Example(RUN, "desired 4, minimum 50 %: two old stop before two new start"),
    2: Example(RUN, "desired 2, minimum 75 %: none may stop first"),
    3: Example(RUN, "desired 4, maximum 200 %: four start before any stops"),
    4: Example(RUN, "desired 3, maximum 125 %: none may start first"),
    5: Example(RUN, "desired 2, 75 to 125 %: stuck, with an event"),
    6: Example(RUN, "100 to 100 %: neither deployment nor draining moves"),
    7: Example(RUN, "six tasks, room for eight: three rounds of two"),
    9: Example(RUN, "ample room: -3 old, +6 new, -3 old"),
    10: Example(RUN, "one task: one more first, stuck, or stopped first"),
    11: Example(RUN, "bounds are rounded towards the desired count"),
    13: Example(RUN, "no check: healthy exactly 40 s after RUNNING"),
    14: Example(RUN, "a host port on one instance blocks the deployment"),
    15: Example(RUN, "threshold of the circuit breaker: 3, 13, 200, 200"),
    16: Example(RUN, "threshold for 5, 6, 7, 399 and 401 tasks"),
    17: Example(RUN, "three failures in a row fail the deployment"),
    19: Example(RUN, "configured thresholds: count, bounded, unbounded"),
    20: Example(RUN, "no COMPLETED deployment: no rollback"),
    22: Example(RUN, "health of a task from its essential containers"),
    23: Example(RUN, "UNHEALTHY after three checks at 30 s"),
    24: Example(RUN, "the zone with the fewest tasks is next"),
    26: Example(RUN, "2/0 over two zones: start, wait, stop: 1/1"),
    27: Example(RUN, "2/1 and 2/2/1 are balanced"),
    28: Example(RUN, "binpack first: no rebalancing"),
    29: Example(RUN, "binpack takes the fullest instance that fits"),
    31: Example(RUN, "one static host port per instance, and the event"),
    32: Example(RUN, "1000 of 1024: one task per instance"),
    33: Example(RUN, "8192 MiB never fit an m4.large"),
    34: Example(RUN, "three tasks of 2 GB fill an m5.large, not four"),
    35: Example(RUN, "interfaces of a c5.large: 2, with trunking 10"),
    37: Example(SUM, "the cluster query language"),
    38: Example(RUN, "distinctInstance: three of four on three"),
    39: Example(RUN, "weights 1 and 1: 5 and 5"),
    40: Example(RUN, "weights 1 and 4: 2 and 8"),
    43: Example(INPUT, "all weights 0, or two bases: refused"),
    44: Example(INPUT, "mixed kinds, or 21 providers: refused"),
    45: Example(RUN, "M 2, N 3, target 100: 2"),
    46: Example(RUN, "M 2, N 3, target 50: 4"),
    47: Example(RUN, "M 0, N 0: 100 %, nothing moves"),
    48: Example(RUN, "M 1, N 0: 200 %, two; one goes after 15 minutes"),
    49: Example(RUN, "M/N of 4/3, 10/4 and 5/4 at 90 %: 4, 10, 6"),
    53: Example(RUN, "daemons only: M 0, in to the minimum"),
    54: Example(RUN, "too large for the smallest type: waits for ever"),
    55: Example(RUN, "ten to two: less than half in a step"),
    56: Example(SUM, "target tracking rounds up"),
    57: Example(SUM, "a group: up for out, down for in"),
    58: Example(RUN, "46 % of a target of 50 scales nothing in"),
    59: Example(RUN, "two minutes of a spike scale nothing out"),
    60: Example(RUN, "the largest of several policies counts"),
    62: Example(SUM, "percent steps are rounded towards zero, at least 1"),
    63: Example(SUM, "a minimum of the adjustment"),
    64: Example(SUM, "change in capacity, exact, percent"),
    66: Example(INPUT, "Fargate's sizes"),
    67: Example(RUN, "300 by RunTask: 100 at once, the last at 10 s"),
    68: Example(RUN, "a service of 1000: not before two minutes"),
    69: Example(RUN, "price: five tasks for ten minutes a day"),
    70: Example(RUN, "price: ten tasks for an hour a day"),
    71: Example(RUN, "price: a minute at least; ARM; storage"),
    73: Example(RUN, "linear by default: ten shifts in 54 minutes"),
    74: Example(RUN, "linear 25 % every ten minutes; 2.9 % is refused"),
    75: Example(RUN, "canary: 5 % for ten minutes, then all"),
    76: Example(RUN, "SIGTERM ignored: 30 s, 137; handled: 143"),
    77: Example(RUN, "Fargate Spot: the stop timeout bounds the notice"),
    79: Example(RUN, "a standalone task delays a draining instance"),
    80: Example(RUN, "a crash is restarted at once, a failed start is not"),
    87: Example(RUN, "a crash before the first passed check fails the deployment"),
    89: Example(RUN, "a pause at each of four traffic steps: 50 minutes, on an NLB 90"),
    94: Example(RUN, "trunking by the table: 3, 2, 7, 60 and 498 tasks"),
    95: Example(RUN, "a small task on Managed Instances: an M or T of two vCPUs"),
    96: Example(RUN, "a task of 16 days outlasts the draining of day 14"),
    97: Example(RUN, "800 tasks wait for Managed Instances"),
    103: Example(RUN, "cumulative failures: FAILED at the fifth of ten starts"),
    90: Example(RUN, "managed draining drains Spot at its notice"),
    91: Example(RUN, "no managed draining, no flag: tasks end with the host"),
    92: Example(RUN, "no managed scaling: RunTask is refused, not queued"),
    93: Example(RUN, "the warm-up holds from the first scale-out on"),
    104: Example(RUN, "334 hosts to 34 in four steps"),
    105: Example(RUN, "commitments count clock hours, whatever the cost period is"),
    106: Example(RUN, "a broken hour of commitments counts for its part"),
    107: Example(RUN, "a full instance under a plan: service = bill, idle 0"),
    108: Example(RUN, "the Savings Plans guide: the largest saving first"),
    84: Example(RUN, "a task takes the place of one that stops for 8 hours"),
    102: Example(RUN, "the wait reason is the last refusal"),
}
