"""Build `scenarios/traces/nasa-week.csv`: the typical week of a real web server.

Reads the requests per minute of the NASA-HTTP logs (see `scenarios/traces/README.md`) as a CSV file with
the columns `time_s` (seconds from 1995-07-01 00:00, UTC-4) and `requests`, and writes the mean number of
requests in each 5 minutes of a week that begins on Monday, over all good weeks: those with a row for every
minute and less than two hours a day without a request (an outage of the server, not a quiet night). It does not
import clustersim.

    python tools/build_request_curve.py REQUESTS_PER_MINUTE.csv scenarios/traces/nasa-week.csv
"""

from __future__ import annotations

import csv
import sys
from collections import defaultdict
from pathlib import Path

MINUTE_S, DAY_S = 60, 86_400
WEEK_S = 7 * DAY_S
BIN_S = 300
FIRST_MONDAY_S = 2 * DAY_S  # 1995-07-01 was a Saturday
MINUTES_OF_WEEK = WEEK_S // MINUTE_S
LONGEST_SILENCE_MINUTES = 120


def good_weeks(per_minute: dict[int, int]) -> list[int]:
    """Return the first seconds of the weeks, Monday to Sunday, without a gap or an outage."""
    return [
        monday_s
        for monday_s in range(FIRST_MONDAY_S, max(per_minute), WEEK_S)
        if all(_is_good_day(per_minute, monday_s + day * DAY_S) for day in range(7))
    ]


def _is_good_day(per_minute: dict[int, int], day_s: int) -> bool:
    """Return whether every minute of the day was logged, with less than two hours without a request."""
    counts = [per_minute.get(second) for second in range(day_s, day_s + DAY_S, MINUTE_S)]
    return None not in counts and counts.count(0) < LONGEST_SILENCE_MINUTES


def mean_week(per_minute: dict[int, int], mondays_s: list[int]) -> list[float]:
    """Return the mean requests in each 5 minutes of the week."""
    totals: dict[int, int] = defaultdict(int)
    for monday_s in mondays_s:
        for minute in range(MINUTES_OF_WEEK):
            totals[minute * MINUTE_S // BIN_S] += per_minute[monday_s + minute * MINUTE_S]
    return [totals[index] / len(mondays_s) for index in range(WEEK_S // BIN_S)]


def main(source: Path, target: Path) -> None:
    """Read `source`, write `target`, and print the weeks used."""
    with source.open(newline="", encoding="utf-8") as file:
        per_minute = {int(row["time_s"]): int(row["requests"]) for row in csv.DictReader(file)}
    mondays_s = good_weeks(per_minute)
    if not mondays_s:
        sys.exit(f"{source}: no whole week without an outage")
    with target.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["time_s", "requests"])
        for index, requests in enumerate(mean_week(per_minute, mondays_s)):
            writer.writerow([index * BIN_S, f"{requests:.1f}"])
    days = ", ".join(f"{monday_s // DAY_S}" for monday_s in mondays_s)
    print(f"{target}: mean of {len(mondays_s)} weeks, which begin on days {days} of the log")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
