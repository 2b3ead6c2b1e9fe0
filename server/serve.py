"""What the HTTP server process loads: the app, from the environment."""

import gc
import os

from litestar import Litestar

from server.app import create_app
from server.core.log import set_up_logging
from server.core.settings import load_settings


def create() -> Litestar:
    settings = load_settings(os.environ)
    set_up_logging(settings.log_format)
    app = create_app(settings)
    # What stands now stands for good: the collector need not look through it again and again.
    gc.collect()
    gc.freeze()
    return app
