"""The resources of a process: database pools, object store, keys, WeChat client. Opened and closed once."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, closing
from dataclasses import dataclass

from psycopg_pool import AsyncConnectionPool
from sqlalchemy.ext.asyncio import AsyncEngine

from media.store import ObjectStore
from server.core import database
from server.core.encryption import Encryption
from server.core.keys import KeyRing, read_key, read_ring
from server.core.settings import Settings
from server.core.sms import Sms
from server.core.tokens import StatementSigner
from server.core.wechat import Wechat


@dataclass(frozen=True)
class Services:
    settings: Settings
    connections: AsyncConnectionPool
    engine: AsyncEngine
    sessions: database.Sessions
    # For what only reads, as every GET: see `open_reading_session`.
    reading_sessions: database.Sessions
    autocommit: database.AutocommitPool
    store: ObjectStore
    # The mini-program, and the service account that signs people in on the web.
    wechat: Wechat
    wechat_service: Wechat
    sms: Sms
    encryption: Encryption
    token_keys: KeyRing
    receipts: StatementSigner
    audit_signer: StatementSigner


@asynccontextmanager
async def open_services(settings: Settings) -> AsyncIterator[Services]:
    autocommit_size = max(1, settings.database_pool * 2 // 5)
    url, session_size = settings.database_url, settings.database_pool - autocommit_size
    wechat = Wechat(settings.wechat_base_url, settings.wechat_app_id, settings.wechat_secret)
    wechat_service = Wechat(settings.wechat_base_url, settings.wechat_service_app_id, settings.wechat_service_secret)
    async with (
        database.open_pool(url, size=session_size) as connections,
        database.open_pool(url, size=autocommit_size, autocommit=True) as statements,
        AsyncExitStack() as stack,
    ):
        stack.push_async_callback(wechat.aclose)
        stack.push_async_callback(wechat_service.aclose)
        store = stack.enter_context(closing(_open_store(settings)))
        engine = database.create_engine(url, connections)
        yield Services(
            settings=settings,
            connections=connections,
            engine=engine,
            sessions=database.session_maker(engine),
            reading_sessions=database.reading_session_maker(engine),
            autocommit=database.AutocommitPool(statements),
            store=store,
            wechat=wechat,
            wechat_service=wechat_service,
            sms=build_sms(settings),
            encryption=build_encryption(settings),
            token_keys=read_ring("ZOUFANG_TOKEN_KEYS", settings.token_keys),
            audit_signer=build_audit_signer(settings),
            receipts=StatementSigner(read_ring("ZOUFANG_RECEIPT_KEYS", settings.receipt_keys)),
        )


def build_sms(settings: Settings) -> Sms:
    return Sms(settings.sms_base_url, settings.sms_key_id, settings.sms_key_secret, settings.sms_sign_name)


def _open_store(settings: Settings) -> ObjectStore:
    return ObjectStore(
        endpoint=settings.s3_endpoint,
        access_key=settings.s3_access_key,
        secret_key=settings.s3_secret_key,
        bucket=settings.s3_bucket,
        region=settings.s3_region,
        public_endpoint=settings.s3_public_endpoint or None,
    )


def build_audit_signer(settings: Settings) -> StatementSigner:
    return StatementSigner(read_ring("ZOUFANG_AUDIT_KEYS", settings.audit_keys))


def build_encryption(settings: Settings, *, reads_unbound: bool | None = None) -> Encryption:
    """Build it as the settings say; `reseal` alone reads unbound values whatever they say."""
    if reads_unbound is None:
        reads_unbound = settings.unbound_values == "read"
    return Encryption(
        read_ring("ZOUFANG_PII_KEYS", settings.pii_keys),
        read_key("ZOUFANG_BLIND_INDEX_KEY", settings.blind_index_key),
        reads_unbound=reads_unbound,
    )
