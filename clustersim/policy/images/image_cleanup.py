"""Image clean-up of the container agent.

Decides which version a clean-up cycle removes next: of those pulled long enough ago that no container uses, the
least recently used (ECS agent: image manager; README: ECS_IMAGE_CLEANUP_INTERVAL,
ECS_IMAGE_MINIMUM_CLEANUP_AGE, ECS_NUM_IMAGES_DELETE_PER_CYCLE). It must not know when cycles run: the world calls
`next_removable_version` and `image_cache.remove_image` up to the number of images per cycle, once an interval, and
not at all with the pull behaviour `prefer-cached` (ECS Developer Guide: container agent configuration).

A stopped container uses its image until the agent removes it, ECS_ENGINE_TASK_CLEANUP_WAIT_DURATION (3 h) later.
Versions of the machine image that no task has pulled are never removed.
"""

from __future__ import annotations

from clustersim.engine.compiled import kernel
from clustersim.policy.images.image_cache import NO_VERSION, PRELOADED, ImageCache
from clustersim.vocabulary import NEVER


@kernel
def next_removable_version(cache: ImageCache, slot: int, now: int, minimum_age: int, wait: int) -> int:
    """Return the version to remove next from the host in `slot`, or NO_VERSION; the first one on a tie.

    `minimum_age` counts from the pull, `wait` from the stop of the last container; both ms.
    """
    chosen, least_recent = NO_VERSION, now
    for version in range(cache.pulled_at.shape[1]):
        pulled_at = cache.pulled_at[slot, version]
        if pulled_at in (NEVER, PRELOADED) or cache.containers[slot, version] > 0:
            continue
        released_at = cache.released_at[slot, version]
        last_used = pulled_at if released_at == NEVER else max(pulled_at, released_at + wait)
        if now < pulled_at + minimum_age or now < last_used:
            continue
        if chosen == NO_VERSION or last_used < least_recent:
            chosen, least_recent = version, last_used
    return chosen
