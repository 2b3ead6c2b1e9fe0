"""The settings of one installation, read once from the environment.

Each field is read from `ZOUFANG_<NAME>`, or from the file that `ZOUFANG_<NAME>_FILE` names. The table in README.md is
generated from this Struct, and a test fails when the two differ.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

PREFIX = "ZOUFANG_"


class SettingsError(Exception):
    """A setting is missing or invalid; the message is one line that names it."""


class Settings(Struct, frozen=True, kw_only=True):
    database_url: Annotated[
        str, Meta(description="PostgreSQL 18 or newer; empty: `make run` starts an embedded one (secret)")
    ] = ""
    owner_database_url: Annotated[
        str, Meta(description="The same as the role that owns the tables, for `migrate`; empty: one role (secret)")
    ] = ""
    maintenance_database_url: Annotated[
        str, Meta(description="The same as a role that reads all, for commands that check; empty: one role (secret)")
    ] = ""
    admin_database_url: Annotated[
        str, Meta(description="The same as a role that may create roles, for `database-roles` alone (secret)")
    ] = ""
    database_pool: Annotated[int, Meta(description="Connections each process may hold", ge=2)] = 10
    s3_endpoint: Annotated[str, Meta(description="S3 server as the API sees it; empty: `make run` starts one")] = ""
    s3_public_endpoint: Annotated[
        str, Meta(description="The same server as phones and browsers see it; empty: as the API does")
    ] = ""
    s3_access_key: Annotated[str, Meta(description="S3 access key")] = ""
    s3_secret_key: Annotated[str, Meta(description="S3 secret key (secret)")] = ""
    s3_bucket: Annotated[str, Meta(description="Bucket for photos; made when missing")] = "zoufang"
    s3_region: Annotated[str, Meta(description="Region that links are signed for")] = "us-east-1"
    host: Annotated[str, Meta(description="Address the API listens on")] = "127.0.0.1"
    port: Annotated[int, Meta(description="Port the API listens on", ge=1, le=65535)] = 8000
    trusted_proxies: Annotated[
        str, Meta(description="Addresses or networks of proxies whose `X-Forwarded-For` is believed, by comma")
    ] = ""
    postgres_port: Annotated[int, Meta(description="Port of the embedded PostgreSQL", ge=1, le=65535)] = 5440
    s3_port: Annotated[int, Meta(description="Port of the embedded S3 server", ge=1, le=65535)] = 9000
    wechat_stub_port: Annotated[int, Meta(description="Port of the WeChat stub", ge=1, le=65535)] = 8091
    data_dir: Annotated[str, Meta(description="Where `make run` keeps the embedded parts' files")] = ".data"
    wechat_base_url: Annotated[str, Meta(description="WeChat's server API; empty: `make run` starts a stub of it")] = ""
    wechat_app_id: Annotated[str, Meta(description="App id of the mini-program")] = ""
    wechat_secret: Annotated[str, Meta(description="App secret of the mini-program (secret)")] = ""
    wechat_service_app_id: Annotated[
        str, Meta(description="App id of the certified service account that signs people in on the web; empty: none")
    ] = ""
    wechat_service_secret: Annotated[str, Meta(description="App secret of the service account (secret)")] = ""
    wechat_authorize_url: Annotated[
        str, Meta(description="Where WeChat asks people for consent; `make run` names its stub")
    ] = "https://open.weixin.qq.com"
    wechat_verification: Annotated[
        str,
        Meta(
            description="Verification files of WeChat, served at the root: `MP_verify_….txt=content` by comma",
            pattern=r"^(MP_verify_[A-Za-z0-9]{1,64}\.txt=[A-Za-z0-9]{1,64}(,|$))*$",
        ),
    ] = ""
    wechat_push_token: Annotated[
        str, Meta(description="Token of WeChat's message push (消息推送), of both apps; empty: no events (secret)")
    ] = ""
    wechat_push_key: Annotated[
        str, Meta(description="Its EncodingAESKey: only encrypted events are taken; empty: no events (secret)")
    ] = ""
    public_origin: Annotated[
        str, Meta(description="Origin at which people reach this, `https://…`, given to WeChat; empty: as each request")
    ] = ""
    sms_base_url: Annotated[
        str, Meta(description="Aliyun's text messages, `https://dysmsapi.aliyuncs.com`; empty: none are sent")
    ] = ""
    sms_key_id: Annotated[str, Meta(description="AccessKey id of text messages")] = ""
    sms_key_secret: Annotated[str, Meta(description="AccessKey secret of text messages (secret)")] = ""
    sms_sign_name: Annotated[str, Meta(description="Approved signature (签名) of text messages")] = ""
    sms_code_template: Annotated[
        str, Meta(description="Approved template of sign-in codes, `SMS_…`, with the variable `code`")
    ] = ""
    sms_per_day: Annotated[int, Meta(description="Budget: sign-in codes that are sent in 24 hours", ge=0)] = 500
    token_keys: Annotated[
        str, Meta(description="Keys of access tokens, `kid:base64` by comma, the first signs (secret)")
    ] = ""
    receipt_keys: Annotated[
        str, Meta(description="Ed25519 seeds of receipts, `kid:base64` by comma, the first signs (secret)")
    ] = ""
    audit_keys: Annotated[
        str, Meta(description="Ed25519 seeds of audit seals, `kid:base64` by comma, the first signs (secret)")
    ] = ""
    pii_keys: Annotated[
        str, Meta(description="AES-256 keys of personal data, `kid:base64` by comma, first encrypts (secret)")
    ] = ""
    blind_index_key: Annotated[
        str, Meta(description="HMAC key, base64, by which encrypted numbers are found (secret)")
    ] = ""
    unbound_values: Annotated[
        Literal["refuse", "read"],
        Meta(description="Sealed values from before rows were bound: `refuse`, or `read` until `reseal` has run"),
    ] = "refuse"
    access_token_minutes: Annotated[int, Meta(description="Life of an access token", ge=1)] = 15
    refresh_token_days: Annotated[int, Meta(description="Life of an unused refresh token", ge=1)] = 60
    sign_in_attempts: Annotated[
        int, Meta(description="Failed sign-ins of a name from an address in 15 minutes", ge=1)
    ] = 10
    step_up_minutes: Annotated[
        int, Meta(description="How long a confirmed password allows changes to sign-in", ge=1, le=15)
    ] = 5
    link_minutes: Annotated[int, Meta(description="Life of a link to a photo", ge=1, le=60)] = 5
    claim_minutes: Annotated[int, Meta(description="Life of a reviewer's claim without heartbeat", ge=1)] = 10
    read_trail_days: Annotated[
        int, Meta(description="How long the trail of looks at personal data is kept; at least half a year", ge=180)
    ] = 1095
    max_body_mb: Annotated[int, Meta(description="Largest request body that is not a photo", ge=1)] = 8
    max_photo_mb: Annotated[int, Meta(description="Largest photo", ge=1, le=200)] = 20
    metrics_token: Annotated[
        str, Meta(description="Token for `/metrics`; empty: only this machine itself may read it (secret)")
    ] = ""
    backup_marker: Annotated[
        str, Meta(description="File that a backup writes when it is done: its time of change is that of the backup")
    ] = ""
    backup_s3_endpoint: Annotated[
        str, Meta(description="S3 server for `backup s3://bucket/prefix`: another than the photos', in another place")
    ] = ""
    backup_s3_access_key: Annotated[str, Meta(description="Its access key")] = ""
    backup_s3_secret_key: Annotated[str, Meta(description="Its secret key (secret)")] = ""
    log_format: Annotated[str, Meta(description="`json` for machines or `console` for people")] = "json"
    map_tiles: Annotated[
        str, Meta(description="Map tiles of the desk, `https://…/{z}/{x}/{y}.png`; empty: a map without a ground")
    ] = ""
    map_datum: Annotated[Literal["wgs84", "gcj02"], Meta(description="Datum of those tiles: `wgs84` or `gcj02`")] = (
        "wgs84"
    )
    allowed_origins: Annotated[str, Meta(description="Web origins allowed to call from elsewhere, by comma")] = ""

    def __repr__(self) -> str:
        return "Settings(…)"  # it holds secrets, and logs may contain a repr


# Secrets have no defaults and are never printed.
SECRETS = frozenset(
    {
        "database_url",
        "owner_database_url",
        "maintenance_database_url",
        "admin_database_url",
        "metrics_token",
        "s3_secret_key",
        "backup_s3_secret_key",
        "wechat_secret",
        "wechat_service_secret",
        "wechat_push_token",
        "wechat_push_key",
        "sms_key_secret",
        "token_keys",
        "receipt_keys",
        "audit_keys",
        "pii_keys",
        "blind_index_key",
    }
)
REQUIRED = ("database_url", "s3_endpoint", "token_keys", "receipt_keys", "audit_keys", "pii_keys", "blind_index_key")


def load_settings(environ: Mapping[str, str], *, complete: bool = True) -> Settings:
    """Read the settings. With `complete`, the settings that a server requires must be set.

    Raise SettingsError, which names the invalid variable but never its value.
    """
    values = dict(_read_environment(environ))
    try:
        settings = msgspec.convert(values, Settings, strict=False)
    except msgspec.ValidationError as error:
        field = str(error).rpartition("$.")[2].rstrip("`") or "?"
        raise SettingsError(f"{PREFIX}{field.upper()} can't be read: {str(error).split(' - ')[0]}") from None
    missing = [name for name in REQUIRED if complete and not getattr(settings, name)]
    if missing:
        names = ", ".join(PREFIX + name.upper() for name in missing)
        raise SettingsError(f"{names} must be set (`make run` sets them for you; see Settings in README.md)")
    return settings


def _read_environment(environ: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    fields = set(Settings.__struct_fields__)
    for variable, value in environ.items():
        if not variable.startswith(PREFIX):
            continue
        name = variable[len(PREFIX) :].lower()
        if name in fields and value != "":
            yield name, value
        elif name.endswith("_file") and name.removesuffix("_file") in fields:
            yield name.removesuffix("_file"), _read_file(variable, value)
        elif name not in fields:
            raise SettingsError(f"{variable} is no setting of zoufang (see Settings in README.md)")


def _read_file(variable: str, path: str) -> str:
    try:
        return Path(path).read_text().strip()
    except OSError as error:
        raise SettingsError(f"{variable}: the file can't be read ({error.strerror})") from None


def settings_table() -> str:
    """Render the Markdown table of README.md."""
    rows = ["| variable | default | what it is |", "|---|---|---|"]
    for field in msgspec.inspect.type_info(Settings).fields:  # type: ignore[attr-defined]
        meta = field.type
        while not (description := (getattr(meta, "extra_json_schema", None) or {}).get("description")):
            meta = meta.type
        default = f"`{field.default}`" if field.default not in ("", msgspec.NODEFAULT) else "–"
        rows.append(f"| `{PREFIX}{field.name.upper()}` | {default} | {description} |")
    return "\n".join(rows)
