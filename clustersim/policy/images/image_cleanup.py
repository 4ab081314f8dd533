"""Which images the container agent removes from an instance.

Decides the next version to go in a clean-up cycle: of those pulled long enough ago, on which no container
stands, the one that was used least recently (ECS agent: image manager; README: ECS_IMAGE_CLEANUP_INTERVAL,
ECS_IMAGE_MINIMUM_CLEANUP_AGE, ECS_NUM_IMAGES_DELETE_PER_CYCLE). It must not know the cycle's clock: the world
calls `next_unused` and `shelves.remove` at most so many times, once an interval. With the pull behaviour
`prefer-cached` it does not call at all (ECS Developer Guide: container agent configuration).

A stopped container still holds its image until the agent removes it, ECS_ENGINE_TASK_CLEANUP_WAIT_DURATION
(3 h) later. Images of the machine image that no task has pulled stay for good.
"""

from __future__ import annotations

from clustersim.engine.compiled import kernel
from clustersim.policy.images.image_cache import BAKED_IN, NOTHING, Shelves
from clustersim.vocabulary import NEVER


@kernel
def next_unused(shelves: Shelves, slot: int, now: int, minimum_age: int, wait: int) -> int:
    """The version to remove next from the host in `slot`, or NOTHING; of equals the first.

    `minimum_age` counts from the pull, `wait` from when the last container stopped; both ms.
    """
    chosen, oldest = NOTHING, now
    for version in range(shelves.pulled_at.shape[1]):
        pulled_at = shelves.pulled_at[slot, version]
        if pulled_at in (NEVER, BAKED_IN) or shelves.containers[slot, version] > 0:
            continue
        left_at = shelves.left_at[slot, version]
        used = pulled_at if left_at == NEVER else max(pulled_at, left_at + wait)
        if now < pulled_at + minimum_age or now < used:
            continue
        if chosen == NOTHING or used < oldest:
            chosen, oldest = version, used
    return chosen
