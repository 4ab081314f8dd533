"""The exception tree, drawn once.

    ClustersimError
    + ScenarioError          the user's file: all problems, each with its place and what would be right
      + CannotRun            an option of a comparison that cannot run the workload, and why
    + UsageError             a setting outside of the file, such as an environment variable, that names nothing
    + ResultsError           a run that is missing, incomplete, not ours, or cannot be written
    + SimulationError        ours: carries the simulated instant and the seed
      + InvariantViolation   the two readings of the world disagree
      + NoFixedPoint         concerns keep ringing each other at one instant
      + KernelError          the kernels cannot be compiled, or one was asked for an illegal step

A task that fits nowhere is no exception: it is a row of the results. Exceptions are for files and for bugs.
"""

from __future__ import annotations


class ClustersimError(Exception):
    """The root of everything clustersim raises on purpose."""


class ScenarioError(ClustersimError):
    """A scenario that cannot be run: `problems` holds one `FILE:LINE:COL: path: what; what would be right` each."""

    def __init__(self, problems: list[str]) -> None:
        self.problems = list(problems)
        super().__init__("\n".join(problems))


class CannotRun(ScenarioError):
    """An option that cannot run the workload: `problems` holds the reasons, one sentence each."""


class UsageError(ClustersimError):
    """A setting outside of the scenario, such as an environment variable, with an unknown value."""


class ResultsError(ClustersimError):
    """A result directory that is missing, incomplete, of another schema, or cannot be written."""


class SimulationError(ClustersimError):
    """A defect of the simulator itself, found while it ran."""


class InvariantViolation(SimulationError):
    """The world and an independent second reading of it disagree."""


class NoFixedPoint(SimulationError):
    """Concerns keep waking each other without end at one instant."""


class KernelError(SimulationError):
    """The kernels cannot be compiled, or one of them was asked for an illegal step."""
