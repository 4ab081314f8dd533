"""Scheduled actions of Service Auto Scaling: changes of a scalable target's bounds at given instants.

Turns the schedules of a scenario into instants and has `service_autoscaler` apply each action; decides nothing itself.
`simulation` constructs it; its agenda calls `act`.
"""

from __future__ import annotations

from clustersim.control.agendas import Agendas
from clustersim.control.scaling.service_autoscaler import ServiceAutoscaler
from clustersim.scenario.aws.schedule_expressions import fire_times
from clustersim.scenario.sections.scenario import ScheduledAction
from clustersim.world.state.world import World


class ScheduledActions:
    """The scheduled actions of all services, in order of time, then of the scenario file."""

    def __init__(self, world: World, autoscaler: ServiceAutoscaler, agendas: Agendas) -> None:
        self._world = world
        self._autoscaler = autoscaler
        self._agenda = agendas.schedules
        self._due: dict[int, list[tuple[int, ScheduledAction]]] = {}
        scenario = world.scenario
        origin = scenario.start_ms - scenario.warm_up_ms
        end = scenario.start_ms + scenario.duration_ms
        for number, service in enumerate(scenario.services):
            for action in service.auto_scaling.scheduled if service.auto_scaling else ():
                for at in fire_times(action.schedule, origin, end, action.timezone):
                    self._due.setdefault(int(at) - origin, []).append((number, action))

    def schedule_wakeups(self) -> None:
        """Schedule every instant with an action."""
        for at_ms in sorted(self._due):
            self._agenda.wake_at(at_ms)

    def act(self, now: int) -> None:
        """Apply the actions due now."""
        for service, action in self._due.pop(now, []):
            desired = int(self._world.state.services.rows[service]["desired"])
            self._autoscaler.apply_scheduled_action(now, service, action, desired)
