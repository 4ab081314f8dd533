"""AWS managed policies of the roles of ECS tasks and instances, as far as a scenario uses their actions.

Facts: the actions of each policy that `policy.tasks.startup_authorization` or an application may request, as AWS
documents them (AWS Managed Policy Reference Guide, of 2026). Must not know roles. `resolve.roles` looks policies up
by ARN.
"""

from __future__ import annotations

from clustersim.policy.tasks.iam_evaluation import ANYTHING, Statement

_ECR_PULL = ("ecr:GetAuthorizationToken", "ecr:GetDownloadUrlForLayer", "ecr:BatchGetImage")
_ECR_CHECK = "ecr:BatchCheckLayerAvailability"
_LOGS = ("logs:CreateLogStream", "logs:PutLogEvents")

_ACTIONS: dict[str, tuple[str, ...]] = {
    "service-role/AmazonECSTaskExecutionRolePolicy": (*_ECR_PULL, _ECR_CHECK, *_LOGS),
    "service-role/AmazonEC2ContainerServiceforEC2Role": (*_ECR_PULL, _ECR_CHECK, *_LOGS, "ecs:*"),
    "AmazonEC2ContainerRegistryPullOnly": (*_ECR_PULL, "ecr:BatchImportUpstreamImage"),
    "AmazonEC2ContainerRegistryReadOnly": (*_ECR_PULL, _ECR_CHECK, "ecr:Describe*", "ecr:ListImages"),
    "AmazonEC2ContainerRegistryFullAccess": ("ecr:*",),
    "CloudWatchLogsFullAccess": ("logs:*",),
    "SecretsManagerReadWrite": ("secretsmanager:*",),
    "AmazonSSMReadOnlyAccess": ("ssm:Describe*", "ssm:Get*", "ssm:List*"),
    "AmazonSSMFullAccess": ("ssm:*",),
    "AmazonS3ReadOnlyAccess": ("s3:Get*", "s3:List*", "s3:Describe*"),
    "AmazonS3FullAccess": ("s3:*",),
    "AmazonSQSFullAccess": ("sqs:*",),
    "AmazonDynamoDBFullAccess": ("dynamodb:*",),
    "AdministratorAccess": ANYTHING,
}

MANAGED_POLICIES = {
    f"arn:aws:iam::aws:policy/{name}": (Statement(True, actions),) for name, actions in _ACTIONS.items()
}
"""The statements of each policy, by ARN."""

INSTANCE_ROLE_STATEMENTS = MANAGED_POLICIES[
    "arn:aws:iam::aws:policy/service-role/AmazonEC2ContainerServiceforEC2Role"
]
"""The statements of the role of a group without `instanceRole`: pull from ECR and write logs."""
