"""Dtypes of image pulls: image versions, registries, rate limits, container agents, images of a task set.

Declarations only, a part of `world.state.tables`, which documents the conventions of all tables.
`world.build.image_tables` and `world.build.pull_tables` fill these tables, and the kernels of
`world.tasks.image_pulls` change them.
"""

from __future__ import annotations

import numpy as np

IMAGE_VERSION = np.dtype(
    [  # a version of an image, numbered as in `policy.images.image_cache`
        ("since", np.int64),  # the instant from which the tag refers to it
        ("fault", np.int64),  # why the registry cannot deliver it, a code of `PullFault`; 0: it can
    ],
    align=True,
)

REGISTRY = np.dtype(
    [
        ("latency_ms", np.int64),
        ("timeout_ms", np.int64),  # how long a pull waits for a registry that does not answer
        ("patience_ms", np.int64),  # how long a throttled pull retries
        ("bytes_per_ms", np.float64),  # of one pull
        ("total_bytes_per_ms", np.float64),  # of all pulls together
        ("outage_from", np.int64),  # rows of State.outage_begins and State.outage_ends
        ("outage_to", np.int64),
        ("limit_with_credentials", np.int64),  # row of PULL_LIMIT for pulls with credentials; -1: none
        ("limit_without_credentials", np.int64),  # and for the others
        ("layer_limit", np.int64),  # and for requests of layers
        ("private", np.int8),
    ],
    align=True,
)

PULL_LIMIT = np.dtype(
    [
        ("limit", np.int64),
        ("per_ms", np.int64),
        (
            "counted_by",
            np.int64,
        ),  # what shares the limit: a position in `policy.images.registry_rate_limits.SOURCES`
    ],
    align=True,
)

AGENT = np.dtype(
    [  # the container agent of an instance class; the last row stands for Fargate
        ("behavior", np.int64),  # ECS_IMAGE_PULL_BEHAVIOR, a code of `policy.images.image_pulls`
        ("cleanup_ms", np.int64),  # -1: no cleanup
        ("minimum_age_ms", np.int64),
        ("images_per_cycle", np.int64),
        ("container_wait_ms", np.int64),
        ("pull_timeout_ms", np.int64),
        ("timeout_words", np.int64),  # number of the sentence
        ("stop_timeout_ms", np.int64),  # of containers without a stopTimeout of their own
        ("start_timeout_ms", np.int64),
        ("disk", np.int64),  # bytes for images and containers
        ("network", np.float64),  # bytes per ms; infinity: unknown
        ("unpack", np.float64),  # bytes per ms
        ("preloaded_from", np.int64),  # rows of State.preloaded: the image versions in the machine image
        ("preloaded_to", np.int64),
        ("credentials", np.int8),  # it has an account at every registry (ECS_ENGINE_AUTH_DATA)
        ("upfront", np.int8),  # images of dependent containers are pulled with the others
    ],
    align=True,
)

PULL = np.dtype(
    [  # a container of a task set whose image is listed in the scenario
        ("image", np.int64),
        ("first_version", np.int64),
        ("last_version", np.int64),  # inclusive
        ("registry", np.int64),
        ("version", np.int64),  # that the deployment has resolved; -1: none yet
        ("read_write", np.int64),  # bytes of the container's own layer
        ("lazy_share", np.float64),  # on Fargate: the share of the image that is loaded before the start
        ("host_words", np.int64),  # first of the sentences on an instance, one per PullFault
        ("fargate_words", np.int64),  # and on Fargate
        ("pins_version", np.int8),  # all tasks of the deployment get one version
        ("waits_for_containers", np.int8),  # the container depends on others
        ("credentials", np.int8),
    ],
    align=True,
)
