"""Tests of image references: Docker's reference grammar, and the account and region of ECR hosts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clustersim.scenario.images.image_references import (
    ImageReference,
    canonical_reference,
    parse_ecr_host,
    parse_reference,
    registry_host,
)

DIGEST = "sha256:" + "ab" * 32


@pytest.mark.parametrize(
    ("reference", "expected"),
    [
        ("nginx", ImageReference("", "nginx", "latest", "")),
        ("shop/web:1.2-rc", ImageReference("", "shop/web", "1.2-rc", "")),
        ("docker.io/library/nginx:1", ImageReference("", "nginx", "1", "")),
        ("localhost/web", ImageReference("localhost", "web", "latest", "")),
        ("reg.example:5000/a/b/c:x", ImageReference("reg.example:5000", "a/b/c", "x", "")),
        (f"public.ecr.aws/nginx/nginx@{DIGEST}", ImageReference("public.ecr.aws", "nginx/nginx", "", DIGEST)),
        (f"web:1@{DIGEST}", ImageReference("", "web", "", DIGEST)),
        ("", None),
        ("a b", None),
        ("web:", None),
        ("host.example/", None),
        ("a//b", None),
    ],
)
def test_the_parts_of_a_reference(reference: str, expected: ImageReference | None) -> None:
    """A host holds a dot or a colon or is localhost; no tag is latest; with a digest the tag says nothing."""
    assert parse_reference(reference) == expected


@given(
    st.from_regex(
        r"([a-z]{1,4}\.[a-z]{2}(:\d{2,4})?/)?[a-z]{1,5}(/[a-z]{1,5})?(:[a-z0-9]{1,4})?", fullmatch=True
    )
)
def test_the_full_spelling_is_its_own(reference: str) -> None:
    full = canonical_reference(reference)
    assert canonical_reference(full) == full
    assert registry_host(full) in (registry_host(reference), "")


def test_hosts_of_private_ecr() -> None:
    """The account and the region stand in the host; China's and FIPS hosts too."""
    assert parse_ecr_host("123456789012.dkr.ecr.eu-west-1.amazonaws.com") == ("123456789012", "eu-west-1")
    assert parse_ecr_host("123456789012.dkr.ecr-fips.us-east-1.amazonaws.com") == (
        "123456789012",
        "us-east-1",
    )
    assert parse_ecr_host("123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn") == (
        "123456789012",
        "cn-north-1",
    )
    assert parse_ecr_host("public.ecr.aws") is None
