"""The exceptions of clustersim.

    ClustersimError
    + ScenarioError          the user's file: all problems, each with its location and what is expected
      + CannotRun            an option of a comparison that cannot run the workload, and why
    + UsageError             a setting outside of the file, such as an environment variable, with an unknown value
    + ResultsError           a run that is missing, incomplete, of another schema, or cannot be written
    + SimulationError        a defect of the simulator: with the simulated instant and the seed
      + InvariantViolation   the world and its recount differ
      + NoFixedPoint         controllers keep waking each other at one instant
      + KernelError          the kernels cannot be compiled, or one was called for an illegal step

A task that fits on no host is not an exception, but a row of the results. Exceptions are for files and defects.
"""

from __future__ import annotations


class ClustersimError(Exception):
    """The base class of all exceptions that clustersim raises deliberately."""


class ScenarioError(ClustersimError):
    """A scenario that cannot be run: `problems` holds one `FILE:LINE:COL: path: problem; expectation` each."""

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
    """A defect of the simulator itself, detected during a run."""


class InvariantViolation(SimulationError):
    """A difference between the world and its independent recount."""


class NoFixedPoint(SimulationError):
    """Controllers wake each other without end at one instant."""


class KernelError(SimulationError):
    """The kernels cannot be compiled, or one of them was called for an illegal step."""
