"""Container images: references, registries and manifests, read into layers with sizes.

It must not know tasks; pulls are decided in `policy.images`. Start with `image_reader`.
"""
