"""What a photo may weigh and measure. The caller passes these in: a county with better phones sets its own."""

import msgspec

# Pillow warns above this many pixels (its decompression-bomb guard, 1 GiB / 4 / 3). We refuse on our own,
# earlier and without touching Pillow's global, so a limit above Pillow's would be one we can't keep.
PILLOW_WARNS_ABOVE_PIXELS = 89_478_485


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """Checked from the file's headers before a single pixel is decoded."""

    max_bytes: int = 20 * 1024 * 1024
    max_pixels: int = 60_000_000
    # One side: JPEG can't hold more than 65,535, and a strip 1 pixel high is no photo.
    max_side: int = 20_000
    # A progressive JPEG pays a whole pass over the picture for each scan; cameras write 1, encoders about 10.
    max_scans: int = 100

    def __post_init__(self) -> None:
        if not 0 < self.max_pixels <= PILLOW_WARNS_ABOVE_PIXELS:
            msg = f"max_pixels must be between 1 and {PILLOW_WARNS_ABOVE_PIXELS}"
            raise ValueError(msg)


DEFAULT_LIMITS = Limits()
