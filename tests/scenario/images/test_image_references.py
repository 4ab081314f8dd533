"""References to images: Docker's reference grammar, and whose registry a host is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clustersim.scenario.images.image_references import ImageName, ecr_host, in_full, named_host, parse

DIGEST = "sha256:" + "ab" * 32


@pytest.mark.parametrize(
    ("reference", "expected"),
    [
        ("nginx", ImageName("", "nginx", "latest", "")),
        ("shop/web:1.2-rc", ImageName("", "shop/web", "1.2-rc", "")),
        ("docker.io/library/nginx:1", ImageName("", "nginx", "1", "")),
        ("localhost/web", ImageName("localhost", "web", "latest", "")),
        ("reg.example:5000/a/b/c:x", ImageName("reg.example:5000", "a/b/c", "x", "")),
        (f"public.ecr.aws/nginx/nginx@{DIGEST}", ImageName("public.ecr.aws", "nginx/nginx", "", DIGEST)),
        (f"web:1@{DIGEST}", ImageName("", "web", "", DIGEST)),
        ("", None),
        ("a b", None),
        ("web:", None),
        ("host.example/", None),
        ("a//b", None),
    ],
)
def test_the_parts_of_a_reference(reference: str, expected: ImageName | None) -> None:
    """A host holds a dot or a colon or is localhost; no tag is latest; with a digest the tag says nothing."""
    assert parse(reference) == expected


@given(
    st.from_regex(
        r"([a-z]{1,4}\.[a-z]{2}(:\d{2,4})?/)?[a-z]{1,5}(/[a-z]{1,5})?(:[a-z0-9]{1,4})?", fullmatch=True
    )
)
def test_the_full_spelling_is_its_own(reference: str) -> None:
    full = in_full(reference)
    assert in_full(full) == full
    assert named_host(full) in (named_host(reference), "")


def test_hosts_of_private_ecr() -> None:
    """The account and the region stand in the host; China's and FIPS hosts too."""
    assert ecr_host("123456789012.dkr.ecr.eu-west-1.amazonaws.com") == ("123456789012", "eu-west-1")
    assert ecr_host("123456789012.dkr.ecr-fips.us-east-1.amazonaws.com") == ("123456789012", "us-east-1")
    assert ecr_host("123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn") == ("123456789012", "cn-north-1")
    assert ecr_host("public.ecr.aws") is None
