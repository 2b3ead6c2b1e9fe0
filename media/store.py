"""Client of the object store that holds the photos: any S3, MinIO in production and `rclone serve s3` elsewhere.

The SDK is synchronous, so each call runs in a thread pool of its own and a slow store can't starve the rest of the
process. Bodies are streamed in both directions, except in `read`. Every failure is raised as a `StoreError`.
"""

import asyncio
import hashlib
import io
import itertools
import re
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import IO, Any, Final, NamedTuple, TypeVar
from urllib.parse import quote, urlsplit
from uuid import UUID

import msgspec
import urllib3
from minio import Minio
from minio.error import InvalidResponseError, MinioException, S3Error, ServerError

T = TypeVar("T")


class StoreError(Exception):
    """A call to the store failed."""


class ObjectMissing(StoreError):
    """No object has this key; the only argument is the key."""


class StoreUnavailable(StoreError):
    """Retry later: no connection, a timeout, a cut body, 429, 5xx, SlowDown. No incomplete object is stored."""


class StoreRefused(StoreError):
    """A retry won't help: wrong keys, no such bucket, a clock 15 minutes off. An administrator has to act."""


class ObjectFacts(msgspec.Struct, frozen=True):
    """`etag` is opaque: in an encrypting store it isn't the MD5."""

    size: int
    media_type: str
    etag: str


class RawAnswer(NamedTuple):
    """`headers` by lower-case name."""

    status: int
    headers: dict[str, str]


class JoinedObjects(msgspec.Struct, frozen=True):
    """Size and hash of joined objects, measured while downloading."""

    size: int
    sha256: str


# Bytes read at a time from a socket or file: all transfers together need threads x this, whatever the photos' size.
_PIECE_BYTES: Final = 64 * 1024
_PAGE: Final = 1000
_MAX_READ_BYTES: Final = 8 * 1024 * 1024
_BUSY_STATUSES: Final = (429, 500, 502, 503, 504)
_CHECK_SECONDS: Final = 5.0
_SEND_LINK_LIFETIME: Final = timedelta(minutes=15)
_WATERMARKED: Final = "watermarked-"
_MAX_LINK_LIFETIME: Final = timedelta(days=7)  # the limit of SigV4


def original_key(sha256: str) -> str:
    """Originals are content-addressed: the same photo uploaded twice is one object."""
    return f"photos/{sha256[:2]}/{sha256[2:4]}/{sha256}"


def rendition_prefix(sha256: str) -> str:
    """Return the prefix of all renditions of a photo."""
    return f"renditions/{sha256}/"


def rendition_key(sha256: str, name: str) -> str:
    """`name` is, for example, `320` or `1280`."""
    return f"{rendition_prefix(sha256)}{name}.jpg"


def watermarked_key(sha256: str, photo_id: UUID) -> str:
    """A watermark names the visit, so its key holds the expected photo's id as well as the content's hash."""
    return rendition_key(sha256, f"{_WATERMARKED}{photo_id}")


def watermarked_photo_id(key: str) -> UUID | None:
    """Return the photo id in the key of a watermarked rendition; None for any other key."""
    name = key.rsplit("/", 1)[-1].removesuffix(".jpg")
    if not name.startswith(_WATERMARKED):
        return None
    try:
        return UUID(name.removeprefix(_WATERMARKED))
    except ValueError:
        return None


def spool_prefix(upload_id: object) -> str:
    return f"spool/{upload_id}/"


def spool_key(upload_id: object, number: int) -> str:
    """Return the key of a chunk, zero-padded so that keys sort by `number`, which may be the chunk's offset."""
    return f"{spool_prefix(upload_id)}{number:012d}"


class StoreHandle(NamedTuple):
    """The store inside one of its threads: `read(key, max_bytes)` and `put(key, content, size, media_type)`."""

    read: Callable[[str, int], bytes]
    put: Callable[[str, bytes, int, str], None]


class ObjectStore:
    """One bucket of a store. Create it once per process and `close` it at shutdown."""

    def __init__(
        self,
        *,
        endpoint: str,
        access_key: str,
        secret_key: str,
        bucket: str,
        region: str = "us-east-1",
        public_endpoint: str | None = None,
        threads: int = 16,
        connect_seconds: float = 5.0,
        read_seconds: float = 30.0,
    ) -> None:
        """`endpoint` is the store's address for us, `public_endpoint` for phones: links are signed for its host.

        `connect_seconds` also bounds a stall while sending, `read_seconds` a stall while waiting for a response.
        """
        make = partial(_make_client, access_key=access_key, secret_key=secret_key, region=region)
        self.bucket = bucket
        self._region = region
        self._http = _make_pool(threads, connect_seconds, read_seconds, retries=2)
        self._client = make(endpoint, self._http)
        self._public = make(public_endpoint or endpoint, self._http)
        self._prober = make(endpoint, _make_pool(2, 1.5, 2.5, retries=0))
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="store")
        self._probe_thread = ThreadPoolExecutor(1, thread_name_prefix="store-check")

    def close(self) -> None:
        """Wait for running calls, which the read timeout bounds; cancel the queued ones."""
        for threads in (self._threads, self._probe_thread):
            threads.shutdown(wait=True, cancel_futures=True)
        self._http.clear()

    # -- the bucket

    async def ensure_bucket(self) -> None:
        """Create the bucket unless it exists; safe to run from several processes at once."""
        await self._run(self._ensure_bucket)

    async def check(self) -> None:
        """Raise within five seconds unless the bucket is usable. For the readiness probe, in a thread of its own."""
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(_CHECK_SECONDS):
                await loop.run_in_executor(self._probe_thread, self._probe)
        except TimeoutError as error:
            raise StoreUnavailable("no answer in time") from error

    # -- write

    async def put(self, key: str, source: bytes | IO[bytes], size: int, media_type: str) -> None:
        """Stream exactly `size` bytes into an object, all or nothing; ValueError when the source holds fewer."""
        await self._run(self._put, key, source, size, media_type)

    async def put_file(self, key: str, path: Path, media_type: str) -> None:
        await self._run(self._put_file, key, path, media_type)

    # -- read

    async def download(self, key: str, path: Path) -> int:
        """Download into a file and return its size. A cut transfer raises and leaves no partial file."""
        return await self._run(self._download, key, path)

    async def join(self, keys: Sequence[str], path: Path) -> JoinedObjects:
        """Concatenate objects into one file, in the order given, and hash it; a failure leaves no partial file."""
        return await self._run(self._join, keys, path)

    async def read(self, key: str) -> bytes:
        """Read a small object into memory: ValueError above 8 MiB."""
        return await self._run(self._read, key, _MAX_READ_BYTES)

    async def run_in_thread(self, work: Callable[["StoreHandle"], T]) -> T:
        """Run several calls and the work between them in one thread: a thread switch costs as much as a call."""
        return await self._run(work, StoreHandle(self._read, self._put))

    async def stat(self, key: str) -> ObjectFacts:
        return await self._run(self._stat, key)

    async def exists(self, key: str) -> bool:
        try:
            await self.stat(key)
        except ObjectMissing:
            return False
        return True

    async def list_keys(self, prefix: str = "", *, limit: int | None = None) -> AsyncIterator[str]:
        """Yield keys in byte order, fetched page by page."""
        listed = itertools.islice(self._client.list_objects(self.bucket, prefix, recursive=True), limit)
        while page := await self._run(self._next_page, listed):
            for key in page:
                yield key

    async def remove(self, key: str) -> None:
        """Remove an object. Idempotent: a missing object is a success."""
        await self._run(self._remove, key)

    # -- what the self-check asks

    async def try_request(self, method: str, key: str, *, bucket: str | None = None, signed: bool = True) -> RawAnswer:
        """Send a small request as it is, for checks that look at how the store answers."""
        return await self._run(self._try_request, method, bucket or self.bucket, key, signed)

    # -- links, signed here without a request to the store

    def link(self, key: str, *, lifetime: timedelta, media_type: str, filename: str | None = None) -> str:
        """Sign an expiring GET of one object; with `filename` a browser saves it instead of showing it."""
        headers = {
            "response-content-type": media_type,
            "response-content-disposition": _disposition(filename),
        }
        return self._sign("GET", key, lifetime, headers)

    def put_link(self, key: str, lifetime: timedelta) -> str:
        """Sign an expiring PUT to the store. It limits neither size nor type: verify the object before using it."""
        return self._sign("PUT", key, lifetime, None)

    # -- the rest runs in a thread

    async def _run(self, call: Callable[..., T], *arguments: object) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, call, *arguments)

    def _ensure_bucket(self) -> None:
        with _translate_errors(self.bucket):
            if self._client.bucket_exists(self.bucket):
                return
            try:
                self._client.make_bucket(self.bucket, self._region)
            except S3Error as error:
                if error.code not in {"BucketAlreadyOwnedByYou", "BucketAlreadyExists"}:
                    raise

    def _probe(self) -> None:
        with _translate_errors(self.bucket):
            if not self._prober.bucket_exists(self.bucket):
                raise StoreRefused(f"no bucket named {self.bucket}")

    def _try_request(self, method: str, bucket: str, key: str, signed: bool) -> RawAnswer:
        with _translate_errors(key):
            url = self._client.get_presigned_url(method, bucket, key, _SEND_LINK_LIFETIME)
            body = b"self-check" if method == "PUT" else None
            address = url if signed else url.partition("?")[0]
            answer = self._http.request(method, address, body=body, retries=False)
        return RawAnswer(answer.status, {name.lower(): value for name, value in answer.headers.items()})

    def _put(self, key: str, source: bytes | IO[bytes], size: int, media_type: str) -> None:
        stream = io.BytesIO(source) if isinstance(source, bytes) else source
        self._send(key, iter(partial(stream.read, _PIECE_BYTES), b""), size, media_type)

    def _put_file(self, key: str, path: Path, media_type: str) -> None:
        with path.open("rb") as file:
            self._put(key, file, path.stat().st_size, media_type)

    def _stream(self, keys: Sequence[str]) -> Iterator[bytes]:
        for key in keys:
            with self._open(key) as response:
                yield from response.stream(_PIECE_BYTES)

    def _send(self, key: str, pieces: Iterator[bytes], size: int, media_type: str) -> None:
        """Send one PUT with a signed URL: the SDK's own put signs the body's hash and so buffers parts in memory.

        No retry here, since the pieces are consumed; the caller has the source and can retry.
        """
        with _translate_errors(key):
            url = self._client.get_presigned_url("PUT", self.bucket, key, _SEND_LINK_LIFETIME)
            headers = {"Content-Length": str(size), "Content-Type": media_type}
            body = _exactly(pieces, size) if size else b""
            response = self._http.request("PUT", url, body=body, headers=headers, retries=False)
            _raise_for_status(response, key)

    def _download(self, key: str, path: Path) -> int:
        try:
            with self._open(key) as response, path.open("wb") as file:
                for piece in response.stream(_PIECE_BYTES):
                    file.write(piece)
                return file.tell()
        except BaseException:
            path.unlink(missing_ok=True)
            raise

    def _join(self, keys: Sequence[str], path: Path) -> JoinedObjects:
        sha256 = hashlib.sha256()
        try:
            with path.open("wb") as file:
                for piece in self._stream(keys):
                    sha256.update(piece)
                    file.write(piece)
                return JoinedObjects(size=file.tell(), sha256=sha256.hexdigest())
        except BaseException:
            path.unlink(missing_ok=True)
            raise

    def _read(self, key: str, max_bytes: int) -> bytes:
        with self._open(key) as response:
            if int(response.headers.get("Content-Length", 0)) > max_bytes:
                msg = f"{key} is too large: more than {max_bytes} bytes"
                raise ValueError(msg)
            return bytes(response.read())

    @contextmanager
    def _open(self, key: str) -> Iterator[urllib3.BaseHTTPResponse]:
        """Open an object for reading. An unread rest closes the connection instead of being read to the end."""
        with _translate_errors(key):
            response = self._client.get_object(self.bucket, key)
            try:
                yield response
            finally:
                if response.length_remaining:
                    response.close()
                response.release_conn()

    def _stat(self, key: str) -> ObjectFacts:
        with _translate_errors(key):
            stat = self._client.stat_object(self.bucket, key)
        return ObjectFacts(
            size=stat.size or 0,
            media_type=stat.content_type or "application/octet-stream",
            etag=stat.etag or "",
        )

    def _next_page(self, listed: Iterator[Any]) -> list[str]:
        with _translate_errors(self.bucket):
            return [item.object_name for item in itertools.islice(listed, _PAGE)]

    def _remove(self, key: str) -> None:
        with suppress(ObjectMissing), _translate_errors(key):
            self._client.remove_object(self.bucket, key)

    def _sign(self, method: str, key: str, lifetime: timedelta, headers: dict[str, Any] | None) -> str:
        lifetime = min(max(lifetime, timedelta(seconds=1)), _MAX_LINK_LIFETIME)
        return self._public.get_presigned_url(method, self.bucket, key, lifetime, response_headers=headers)


def _make_client(endpoint: str, http: urllib3.PoolManager, *, access_key: str, secret_key: str, region: str) -> Minio:
    parts = urlsplit(endpoint)
    if parts.scheme not in {"http", "https"} or not parts.netloc:
        msg = f"the store's address must have the form http://host:port, not {endpoint!r}"
        raise ValueError(msg)
    return Minio(
        parts.netloc,
        access_key=access_key,
        secret_key=secret_key,
        secure=parts.scheme == "https",
        region=region,  # given, so that signing a link never requests it from the store
        http_client=http,
    )


def _make_pool(size: int, connect_seconds: float, read_seconds: float, *, retries: int) -> urllib3.PoolManager:
    return urllib3.PoolManager(
        maxsize=size,
        timeout=urllib3.Timeout(connect=connect_seconds, read=read_seconds),
        retries=urllib3.Retry(
            total=retries, backoff_factor=0.1, status_forcelist=_BUSY_STATUSES, raise_on_status=False
        ),
    )


def _disposition(filename: str | None) -> str:
    """Return a Content-Disposition (RFC 6266): an ASCII name for old clients, a UTF-8 name for Chinese."""
    if filename is None:
        return "inline"
    plain = "".join(c if c.isascii() and c.isprintable() and c not in '"\\' else "_" for c in filename)
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(filename, safe='')}"


def _exactly(pieces: Iterator[bytes], size: int) -> Iterator[bytes]:
    """Yield the first `size` bytes; ValueError when there are fewer."""
    left = size
    for piece in pieces:
        yield piece[:left]
        left -= min(left, len(piece))
        if not left:
            return
    msg = f"the source ended {left} bytes early"
    raise ValueError(msg)


@contextmanager
def _translate_errors(key: str) -> Iterator[None]:
    """Translate every error of the SDK and urllib3 into the three errors of this module."""
    try:
        yield
    except S3Error as error:
        raise _make_error(error.code or "", error.response.status, key) from error
    except ServerError as error:
        raise _make_error("", error.status_code, key) from error
    except InvalidResponseError as error:  # the SDK reads only `application/xml`; rclone sends `text/xml`
        code = _read_error_code(error._body or "")  # noqa: SLF001  it has no accessor
        raise _make_error(code, error._code, key) from error  # noqa: SLF001  likewise
    except (urllib3.exceptions.HTTPError, ConnectionError, TimeoutError) as error:
        raise StoreUnavailable(type(error).__name__, key) from error
    except MinioException as error:
        raise StoreRefused(str(error), key) from error


def _raise_for_status(response: urllib3.BaseHTTPResponse, key: str) -> None:
    if response.status >= 300:  # noqa: PLR2004  HTTP: 2xx is success
        raise _make_error(_read_error_code(response.data.decode(errors="replace")), response.status, key)


def _read_error_code(body: str) -> str:
    """Return S3's error code; empty when the response came from a proxy or another server."""
    found = re.search(r"<Code>(\w+)</Code>", body)
    return found[1] if found else ""


def _make_error(code: str, status: int, key: str) -> StoreError:
    """A 404 without S3's code doesn't mean that a photo is missing: a misrouted proxy also sends it."""
    if code in {"NoSuchKey", "NoSuchObject"}:
        return ObjectMissing(key)
    if code in {"SlowDown", "RequestTimeout", "InternalError"} or status in {408, 429} or status >= 500:  # noqa: PLR2004  HTTP
        return StoreUnavailable(code or status, key)
    return StoreRefused(code or status, key)
