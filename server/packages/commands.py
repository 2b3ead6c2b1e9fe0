"""What the commands `export` and `import-package` do: open the resources, write or read the file, log it."""

from typing import IO

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from server.core.age_files import read_public_key
from server.core.database import open_session
from server.core.services import open_services
from server.core.settings import Settings
from server.packages.files import Manifest
from server.packages.importing import import_package
from server.packages.trail import record_export
from server.packages.writing import Show, write_package


async def export_area(
    settings: Settings, target: IO[bytes], area: str, public_key: str, reason: str, show: Show
) -> Manifest:
    """`public_key`: a line `age1…`."""
    url = settings.maintenance_database_url or settings.database_url
    async with open_services(settings) as services:
        manifest = await write_package(services, url, target, area, read_public_key(public_key.encode()), show)
        # The entry comes before the command says where the file is: nobody holds a package that is not in the trail.
        async with open_session(services.sessions) as session:
            record_export(session, None, manifest, area, public_key, reason)
    return manifest


async def import_file(
    settings: Settings, source: IO[bytes], identity: X25519PrivateKey, digest: str, show: Show
) -> Manifest:
    """The owner of the tables imports: the order of rows is suspended meanwhile, which nobody else may do."""
    url = settings.owner_database_url or settings.database_url
    async with open_services(settings) as services:
        return await import_package(services, url, source, identity, digest, show)
