"""Container images: references, registries and manifests, read into layers with sizes.

It must not know tasks; `policy.images` decides pulls. Start with `image_reader`.
"""
