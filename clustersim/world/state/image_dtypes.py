"""The records of what tasks pull: images of a task set, registries and their limits, the agents of instances.

A part of `world.state.tables`, which says what all tables have in common. It declares; `world.tasks.image_pulls`
moves, and `world.build.image_tables` and `world.build.pull_tables` fill.
"""

from __future__ import annotations

import numpy as np

VERSION = np.dtype(
    [  # a version of an image, as `policy.images.image_cache` numbers them
        ("since", np.int64),  # the instant from which the tag means it
        (
            "fault",
            np.int64,
        ),  # why the registry cannot give it (`policy.images.pull_error_messages.PullFault`); 0: it can
    ],
    align=True,
)

REGISTRY = np.dtype(
    [
        ("latency_ms", np.int64),
        ("timeout_ms", np.int64),  # how long one that does not answer is asked
        ("patience_ms", np.int64),  # how long a refused pull tries again
        ("source", np.float64),  # bytes per ms for one pull
        ("shared", np.float64),  # and for all together
        ("outage_from", np.int64),  # rows of State.outage_begins and State.outage_ends
        ("outage_to", np.int64),
        ("with_credentials", np.int64),  # rows of LIMIT for such pulls; -1: none
        ("without", np.int64),
        ("layers", np.int64),
        ("private", np.int8),
    ],
    align=True,
)

LIMIT = np.dtype(
    [
        ("limit", np.int64),
        ("per_ms", np.int64),
        ("by", np.int64),  # whom it counts as one: a position in `policy.images.registry_rate_limits.SOURCES`
    ],
    align=True,
)

AGENT = np.dtype(
    [  # the container agent of a class of instances; the last row stands for Fargate
        ("behavior", np.int64),  # ECS_IMAGE_PULL_BEHAVIOR, a code of `policy.images.image_pulls`
        ("cleanup_ms", np.int64),  # -1: images stay
        ("minimum_age_ms", np.int64),
        ("images_per_cycle", np.int64),
        ("container_wait_ms", np.int64),
        ("pull_timeout_ms", np.int64),
        ("timeout_words", np.int64),  # a sentence
        ("stop_timeout_ms", np.int64),  # of containers that say none
        ("start_timeout_ms", np.int64),
        ("disk", np.int64),  # bytes for images and containers
        ("network", np.float64),  # bytes per ms; infinity: not known
        ("unpack", np.float64),
        ("baked_from", np.int64),  # rows of State.baked: versions of the machine image
        ("baked_to", np.int64),
        ("credentials", np.int8),  # it has an account at every registry (ECS_ENGINE_AUTH_DATA)
        ("upfront", np.int8),  # images of dependent containers are pulled with the others
    ],
    align=True,
)

PULL = np.dtype(
    [  # a container of a task set whose image is listed
        ("image", np.int64),
        ("first_version", np.int64),
        ("last_version", np.int64),  # inclusive
        ("registry", np.int64),
        ("version", np.int64),  # that the deployment has settled on; -1: none yet
        ("read_write", np.int64),  # bytes of the container's own layer
        ("lazy_share", np.float64),  # on Fargate
        ("host_words", np.int64),  # the sentence of PullFault 0 on an instance, others follow
        ("fargate_words", np.int64),
        ("pins", np.int8),  # all tasks of the deployment get one version
        ("waits", np.int8),  # the container depends on others
        ("credentials", np.int8),
    ],
    align=True,
)
