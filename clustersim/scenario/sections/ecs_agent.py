"""The key `ecsConfig` of an Auto Scaling group: the container agent's settings, as in /etc/ecs/ecs.config.

Decides which of the agent's variables are simulated, their defaults and limits (ECS agent README: environment
variables), and which are ignored. Must not know groups. The keys are the agent's own, so that the lines of a file can
be pasted in; `own_keys` holds them. `resolve.ecs_agent` turns the written form into the resolved one.
"""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema, model_validator

from clustersim.scenario.sections.resolved_section import ResolvedSection
from clustersim.scenario.sections.written_section import WrittenSection
from clustersim.scenario.text.units import parse_count, parse_duration_ms, quote_value, value_error
from clustersim.vocabulary import MS_PER_HOUR, MS_PER_MINUTE, MS_PER_SECOND

SYSTEM_DISK_GIB = 3
"""The part of the root volume that the system of an instance takes."""

_CLEANUP_INTERVAL_MS = 30 * MS_PER_MINUTE
_MIN_CLEANUP_INTERVAL_MS = 10 * MS_PER_MINUTE
_IMAGES_PER_CYCLE = 5
_TASK_CLEANUP_WAIT_MS = 3 * MS_PER_HOUR
_STOP_TIMEOUT_MS = 30 * MS_PER_SECOND
_START_TIMEOUT_MS = 3 * MS_PER_MINUTE
_MIN_START_TIMEOUT_MS = 45 * MS_PER_SECOND

_IGNORED = """
    AWS_ACCESS_KEY_ID AWS_DEFAULT_REGION AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN CREDENTIALS_FETCHER_HOST
    DOCKER_HOST ECS_AGENT_HEALTHCHECK_HOST ECS_ALLOW_OFFHOST_INTROSPECTION_ACCESS ECS_APPARMOR_CAPABLE
    ECS_AVAILABLE_LOGGING_DRIVERS ECS_AWSVPC_ADDITIONAL_LOCAL_ROUTES ECS_AWSVPC_BLOCK_IMDS ECS_BACKEND_HOST
    ECS_CGROUP_CPU_PERIOD ECS_CGROUP_PATH ECS_CHECKPOINT ECS_CLUSTER ECS_CNI_PLUGINS_PATH
    ECS_CONTAINER_CREATE_TIMEOUT ECS_CONTAINER_INSTANCE_PROPAGATE_TAGS_FROM ECS_CONTAINER_INSTANCE_TAGS
    ECS_DATADIR ECS_DISABLE_DOCKER_HEALTH_CHECK ECS_DISABLE_METRICS ECS_DISABLE_PRIVILEGED ECS_EBSTA_SUPPORTED
    ECS_DYNAMIC_HOST_PORT_RANGE ECS_ENABLE_CONTAINER_METADATA ECS_ENABLE_GPU_SUPPORT
    ECS_ENABLE_HIGH_DENSITY_ENI ECS_ENABLE_LOGGING ECS_ENABLE_RUNTIME_STATS ECS_ENABLE_TASK_CPU_MEM_LIMIT
    ECS_ENABLE_TASK_ENI ECS_ENABLE_TASK_IAM_ROLE ECS_ENABLE_TASK_IAM_ROLE_NETWORK_HOST
    ECS_ENABLE_UNTRACKED_IMAGE_CLEANUP ECS_ENGINE_AUTH_TYPE
    ECS_ENGINE_TASK_CLEANUP_WAIT_DURATION_JITTER ECS_EXCLUDE_IPV6_PORTBINDING ECS_EXCLUDE_UNTRACKED_IMAGE
    ECS_GMSA_SUPPORTED ECS_HOST_DATA_DIR ECS_IMAGE_PULL_INACTIVITY_TIMEOUT ECS_LOGFILE ECS_LOGLEVEL
    ECS_LOGLEVEL_ON_INSTANCE ECS_LOG_DRIVER ECS_LOG_MAX_FILE_SIZE_MB ECS_LOG_MAX_ROLL_COUNT ECS_LOG_OPTS
    ECS_LOG_OUTPUT_FORMAT ECS_LOG_ROLLOVER_TYPE ECS_MANIFEST_PULL_TIMEOUT ECS_NVIDIA_RUNTIME
    ECS_OFFHOST_INTROSPECTION_INTERFACE_NAME ECS_POLLING_METRICS_WAIT_DURATION ECS_POLL_METRICS
    ECS_RESERVED_PORTS_UDP ECS_SELINUX_CAPABLE ECS_SHARED_VOLUME_MATCH_FULL_CONFIG
    ECS_SKIP_LOCALHOST_TRAFFIC_FILTER ECS_TASK_METADATA_RPS_LIMIT ECS_TASK_PIDS_LIMIT ECS_UPDATES_ENABLED
    HTTP_PROXY NON_ECS_IMAGE_MINIMUM_CLEANUP_AGE NO_PROXY
"""
IGNORED_VARIABLES = frozenset(_IGNORED.split())
"""Variables that do not change what is simulated."""

UNSIMULATED_VARIABLES = {"ECS_WARM_POOLS_CHECK": "warm pools"}
"""Variables that would change it, and the words of a warning for each."""


def _parse_switch(value: Any) -> Any:
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in ("true", "false"):
        return value.lower() == "true"
    raise value_error(f"{quote_value(value)} is not true or false", "write true or false")


def _parse_count_text(value: Any) -> int:
    """Return a whole number, also from text, as in a file of variables."""
    return parse_count(int(value) if isinstance(value, str) and value.isdecimal() else value)


def _parse_json(value: Any) -> Any:
    """Return a JSON value of the agent, from text or already parsed as YAML."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError:
        raise value_error(
            f"{quote_value(value)} is not JSON", "like '[22, 8080]' or '{\"disk\": \"ssd\"}'"
        ) from None


def _parse_ports(value: Any) -> tuple[int, ...]:
    ports = _parse_json(value)
    if not isinstance(ports, list):
        raise value_error(
            f"{quote_value(value)} is not a list of ports", "like [22, 2375, 2376, 51678, 51679]"
        )
    for port in ports:
        if isinstance(port, bool) or not isinstance(port, int) or not 0 < port < 2**16:
            raise value_error(f"{quote_value(port)} is not a port", "1 to 65535")
    return tuple(sorted(set(ports)))


def _parse_attributes(value: Any) -> dict[str, str]:
    attributes = _parse_json(value)
    if not isinstance(attributes, dict) or any(isinstance(item, dict | list) for item in attributes.values()):
        raise value_error(f"{quote_value(value)} is not a mapping of attributes", 'like {"disk": "ssd"}')
    return {
        str(name): str(item).lower() if isinstance(item, bool) else str(item)
        for name, item in attributes.items()
    }


_TEXT_OR_NUMBER = WithJsonSchema({"type": ["string", "number"]})
Switch = Annotated[bool, BeforeValidator(_parse_switch), WithJsonSchema({"type": ["string", "boolean"]})]
AgentDurationMs = Annotated[int, BeforeValidator(parse_duration_ms), _TEXT_OR_NUMBER]
AgentCount = Annotated[int, BeforeValidator(_parse_count_text), _TEXT_OR_NUMBER]
AgentPorts = Annotated[
    tuple[int, ...], BeforeValidator(_parse_ports), WithJsonSchema({"type": ["string", "array"]})
]
AgentAttributes = Annotated[
    dict[str, str], BeforeValidator(_parse_attributes), WithJsonSchema({"type": ["string", "object"]})
]
DEFAULT_RESERVED_PORTS = (22, 2375, 2376, 51678, 51679)
"""SSH, Docker and the agent itself (ECS agent README: ECS_RESERVED_PORTS)."""


class WrittenEcsConfig(WrittenSection):
    """The agent's variables that are simulated; values that the agent ignores become its defaults."""

    image_pull_behavior: Literal["default", "always", "once", "prefer-cached"] = Field(
        default="default", alias="ECS_IMAGE_PULL_BEHAVIOR"
    )
    disable_image_cleanup: Switch = Field(default=False, alias="ECS_DISABLE_IMAGE_CLEANUP")
    image_cleanup_interval: AgentDurationMs = Field(
        default=_CLEANUP_INTERVAL_MS, alias="ECS_IMAGE_CLEANUP_INTERVAL"
    )
    image_minimum_cleanup_age: AgentDurationMs = Field(
        default=MS_PER_HOUR, alias="ECS_IMAGE_MINIMUM_CLEANUP_AGE"
    )
    images_deleted_per_cycle: AgentCount = Field(
        default=_IMAGES_PER_CYCLE, alias="ECS_NUM_IMAGES_DELETE_PER_CYCLE"
    )
    task_cleanup_wait: AgentDurationMs = Field(
        default=_TASK_CLEANUP_WAIT_MS, alias="ECS_ENGINE_TASK_CLEANUP_WAIT_DURATION"
    )
    image_pull_timeout: AgentDurationMs = Field(default=2 * MS_PER_HOUR, alias="ECS_IMAGE_PULL_TIMEOUT")
    logs_by_execution_role: Switch = Field(default=True, alias="ECS_ENABLE_AWSLOGS_EXECUTIONROLE_OVERRIDE")
    pull_dependent_upfront: Switch = Field(default=False, alias="ECS_PULL_DEPENDENT_CONTAINERS_UPFRONT")
    spot_instance_draining: Switch = Field(default=False, alias="ECS_ENABLE_SPOT_INSTANCE_DRAINING")
    container_stop_timeout: AgentDurationMs = Field(
        default=_STOP_TIMEOUT_MS, alias="ECS_CONTAINER_STOP_TIMEOUT"
    )
    container_start_timeout: AgentDurationMs = Field(
        default=_START_TIMEOUT_MS, alias="ECS_CONTAINER_START_TIMEOUT"
    )
    reserved_memory: AgentCount = Field(default=0, alias="ECS_RESERVED_MEMORY")
    reserved_ports: AgentPorts = Field(default=DEFAULT_RESERVED_PORTS, alias="ECS_RESERVED_PORTS")
    instance_attributes: AgentAttributes = Field(default_factory=dict, alias="ECS_INSTANCE_ATTRIBUTES")
    engine_auth_data: Any = Field(default=None, alias="ECS_ENGINE_AUTH_DATA")

    @model_validator(mode="before")
    @classmethod
    def _drop_ignored_variables(cls, value: Any) -> Any:
        """Leave out variables that are not simulated; an unknown variable stays and is reported."""
        if not isinstance(value, dict):
            return value
        return {
            key: item
            for key, item in value.items()
            if key not in IGNORED_VARIABLES and key not in UNSIMULATED_VARIABLES
        }

    @property
    def cleans_up(self) -> bool:
        """True if unused images are removed; `prefer-cached` keeps them (ECS Developer Guide: agent settings)."""
        return not self.disable_image_cleanup and self.image_pull_behavior != "prefer-cached"

    @property
    def cleanup_interval_ms(self) -> int:
        """The interval of the cycles; less than 10 minutes is ignored."""
        interval_ms = self.image_cleanup_interval
        return interval_ms if interval_ms >= _MIN_CLEANUP_INTERVAL_MS else _CLEANUP_INTERVAL_MS

    @property
    def images_per_cycle(self) -> int:
        """The most images removed in a cycle; less than 1 is ignored."""
        return self.images_deleted_per_cycle or _IMAGES_PER_CYCLE

    @property
    def stop_timeout_ms(self) -> int:
        """The stop timeout; less than a second is ignored."""
        timeout_ms = self.container_stop_timeout
        return timeout_ms if timeout_ms >= MS_PER_SECOND else _STOP_TIMEOUT_MS

    @property
    def start_timeout_ms(self) -> int:
        """The start timeout; less than 45 seconds are ignored."""
        timeout_ms = self.container_start_timeout
        return timeout_ms if timeout_ms >= _MIN_START_TIMEOUT_MS else _START_TIMEOUT_MS

    @property
    def container_wait_ms(self) -> int:
        """The time for which a stopped container holds its image; less than a second is ignored."""
        return self.task_cleanup_wait if self.task_cleanup_wait >= MS_PER_SECOND else _TASK_CLEANUP_WAIT_MS


class AgentSettings(ResolvedSection):
    """The settings of the container agent of a pool's instances.

    `pull_behavior` is a code of `policy.images.image_pulls`; `preloaded` are the images that come with the machine
    image, by their references in full.
    """

    pull_behavior: int
    cleanup: bool
    cleanup_interval_ms: int
    minimum_age_ms: int
    images_per_cycle: int
    container_wait_ms: int
    pull_timeout_ms: int
    logs_by_execution_role: bool
    registry_credentials: bool
    system_disk_gib: int
    preloaded: tuple[str, ...]
    pulls_upfront: bool
    stop_timeout_ms: int
    start_timeout_ms: int
    reserved_memory_mib: int
    reserved_ports: tuple[int, ...]
