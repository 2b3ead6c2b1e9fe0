"""Limits on a photo's bytes and pixels. The caller passes them in: a county with better phones sets its own."""

import msgspec

# Pillow warns above this many pixels (its decompression-bomb guard, 1 GiB / 4 / 3). We refuse earlier and leave
# Pillow's global setting alone, so our limit can't exceed Pillow's.
PILLOW_WARNS_ABOVE_PIXELS = 89_478_485


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """Checked against the file's headers, before any pixel is decoded."""

    max_bytes: int = 20 * 1024 * 1024
    max_pixels: int = 60_000_000
    # Of one side. JPEG allows up to 65,535, but a strip 1 pixel high is no photo.
    max_side: int = 20_000
    # Each scan of a progressive JPEG costs a pass over the picture; cameras write 1, encoders about 10.
    max_scans: int = 100

    def __post_init__(self) -> None:
        if not 0 < self.max_pixels <= PILLOW_WARNS_ABOVE_PIXELS:
            msg = f"max_pixels must be between 1 and {PILLOW_WARNS_ABOVE_PIXELS}"
            raise ValueError(msg)


DEFAULT_LIMITS = Limits()
