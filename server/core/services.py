"""What a process holds open while it lives: database, store, keys, WeChat. Built once, closed once."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncEngine

from media.store import ObjectStore
from server.core import database
from server.core.encryption import Encryption
from server.core.keys import KeyRing, read_key, read_ring
from server.core.settings import Settings
from server.core.tokens import ReceiptSigner
from server.core.wechat import Wechat


@dataclass(frozen=True)
class Services:
    settings: Settings
    engine: AsyncEngine
    sessions: database.Sessions
    autocommit: database.AutocommitPool
    store: ObjectStore
    wechat: Wechat
    vault: Encryption
    token_keys: KeyRing
    receipts: ReceiptSigner


@asynccontextmanager
async def open_services(settings: Settings) -> AsyncIterator[Services]:
    glancing = max(1, settings.database_pool * 2 // 5)
    engine = database.create_engine(settings.database_url, pool_size=settings.database_pool - glancing)
    autocommit = database.AutocommitPool(settings.database_url, size=glancing)
    store = _open_store(settings)
    wechat = Wechat(settings.wechat_base_url, settings.wechat_app_id, settings.wechat_secret)
    try:
        yield Services(
            settings=settings,
            engine=engine,
            sessions=database.session_maker(engine),
            autocommit=autocommit,
            store=store,
            wechat=wechat,
            vault=build_vault(settings),
            token_keys=read_ring("ZOUFANG_TOKEN_KEYS", settings.token_keys),
            receipts=ReceiptSigner(read_ring("ZOUFANG_RECEIPT_KEYS", settings.receipt_keys)),
        )
    finally:
        store.close()
        await wechat.aclose()
        await autocommit.aclose()
        await engine.dispose()


def _open_store(settings: Settings) -> ObjectStore:
    return ObjectStore(
        endpoint=settings.s3_endpoint,
        access_key=settings.s3_access_key,
        secret_key=settings.s3_secret_key,
        bucket=settings.s3_bucket,
        region=settings.s3_region,
        public_endpoint=settings.s3_public_endpoint or None,
    )


def build_vault(settings: Settings) -> Encryption:
    return Encryption(
        read_ring("ZOUFANG_PII_KEYS", settings.pii_keys),
        read_key("ZOUFANG_BLIND_INDEX_KEY", settings.blind_index_key),
    )
