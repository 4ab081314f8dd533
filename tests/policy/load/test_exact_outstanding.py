"""Outstanding requests: they are kept, and complete, in order of their ends."""

from __future__ import annotations

from clustersim.engine.random_streams import EMPIRICAL
from tests.policy.load.exact_stream import ExactStream, StreamSpec, TaskKind, constant


def test_outstanding_requests_are_in_order_of_their_ends() -> None:
    """Delays of 1 s and of 9 s in turns of chance: the ring holds them by end, whenever they came."""
    kind = TaskKind(need=0.0, workers=0)
    spec = StreamSpec(constant(50.0), [kind], code=EMPIRICAL, values=(1.0, 9.0))
    exact = ExactStream(spec)
    exact.open(1)
    sums = exact.period(5_000)
    target, ring = exact.state.targets[0], exact.state.rings[0]
    ends = [float(ring[(target["head"] + n) % ring.size]["finish_s"]) for n in range(target["count"])]
    assert ends == sorted(ends)
    assert ends[0] > 5.0
    assert len(ends) == sums["backlog"] == sums["requests"] - sums["served"]
