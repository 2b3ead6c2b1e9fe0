"""docker-compose.yml and the Dockerfile can't be run here: schema, linter and the house rules hold them."""

import json
import re
import subprocess
import sys
from pathlib import Path
from uuid import uuid4

import pytest
from ruamel.yaml import YAML

from media.store import original_key, rendition_key, spool_key, watermarked_key
from server.core.settings import PREFIX, SECRETS, Settings

pytestmark = pytest.mark.processes
PROJECT = Path(__file__).resolve().parent.parent
TOOLS = Path(sys.executable).parent
COMPOSE = YAML(typ="safe").load(PROJECT / "docker-compose.yml")
SERVICES = COMPOSE["services"]
# Run to their end: at every `up`, and `backup` when it is called.
ONE_SHOT = {"volumes", "store-key", "database-roles", "migrate", "backup"}


def check(*command: str) -> None:
    finished = subprocess.run(
        [str(TOOLS / command[0]), *command[1:]],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert finished.returncode == 0, finished.stdout + finished.stderr


def test_the_compose_file_fits_the_compose_specification():
    check("check-jsonschema", "--builtin-schema", "vendor.compose-spec", "docker-compose.yml")


def test_the_dockerfile_passes_hadolint():
    check("hadolint", "Dockerfile")


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_is_pinned_hardened_and_limited(name):
    service = SERVICES[name]
    assert pinned(service["image"]), service["image"]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in service["security_opt"]
    assert not service.get("privileged")
    assert re.fullmatch(r"\d+:\d+", service["user"])
    if name != "volumes":  # it gives fresh volumes to their users and ends
        assert not service["user"].startswith("0:")
        assert set(service["deploy"]["resources"]["limits"]) == {"cpus", "memory", "pids"}
    if name in ONE_SHOT:
        assert service["healthcheck"] == {"disable": True}
        assert service["restart"] in ("no", "on-failure:5")
    else:
        assert service["healthcheck"]["test"][0] == "CMD"
        assert service["restart"] == "unless-stopped"


def pinned(image: str) -> bool:
    tag = image.partition("@")[0].rpartition(":")[2]
    return bool(re.search(r"\d+\.\d+\.\d+|\d{4}-\d\d-\d\dT", tag))


def test_only_the_proxy_is_published_and_database_and_store_have_no_way_out():
    assert [name for name, service in SERVICES.items() if "ports" in service] == ["proxy"]
    for network in (*SERVICES["postgres"]["networks"], *SERVICES["minio"]["networks"]):
        assert COMPOSE["networks"][network] == {"internal": True}
    assert not set(SERVICES["postgres"]["networks"]) & set(SERVICES["proxy"]["networks"])


def test_every_setting_in_the_compose_file_exists_and_no_secret_is_written_there():
    used = {name for service in SERVICES.values() for name in service.get("environment", {}) if name.startswith(PREFIX)}
    used |= set(re.findall(r"ZOUFANG_[A-Z0-9_]+", (PROJECT / "Dockerfile").read_text()))
    existing = {PREFIX + name.upper() for name in Settings.__struct_fields__}
    secret = {PREFIX + name.upper() for name in SECRETS}
    assert used
    assert {name.removesuffix("_FILE") if name not in existing else name for name in used} <= existing
    assert not used & secret
    assert {name + "_FILE" for name in secret} <= used
    # What answers requests and runs jobs holds the application's role alone, and what migrates holds no key.
    for name in ("api", "worker"):
        assert {secret for secret in SERVICES[name]["secrets"] if "database_url" in secret} == {
            "application_database_url"
        }
    assert all(name.endswith("database_url") for name in SERVICES["migrate"]["secrets"])


def test_every_secret_used_is_declared_drawn_and_kept_out_of_the_repository():
    used = {name for service in SERVICES.values() for name in service.get("secrets", ())}
    assert used == set(COMPOSE["secrets"])
    script = (PROJECT / "deploy" / "make-secrets.sh").read_text()
    for name, secret in COMPOSE["secrets"].items():
        assert secret == {"file": f"deploy/secrets/{name}"}
        assert name in script
    files = subprocess.run(
        ["git", "ls-files", "deploy/secrets", "deploy/tls"],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    assert not [file for file in files if not file.endswith((".gitignore", ".example"))]


def test_every_volume_and_every_dependency_is_declared():
    for service in SERVICES.values():
        for volume in service.get("volumes", ()):
            source = volume.partition(":")[0]
            assert source in COMPOSE["volumes"] or (PROJECT / source).exists(), source
        assert set(service.get("depends_on", ())) <= set(SERVICES)
    assert SERVICES["postgres"]["volumes"] == ["database:/var/lib/postgresql"]  # where 18 keeps its data


def test_every_name_the_env_example_and_the_proxy_use_is_the_same():
    request = set(re.findall(r"\$\{([A-Z_]+)", (PROJECT / "docker-compose.yml").read_text()))
    offered = set(re.findall(r"^([A-Z_]+)=", (PROJECT / "deploy" / "example.env").read_text(), re.MULTILINE))
    assert request == offered
    caddyfile = (PROJECT / "deploy" / "Caddyfile").read_text()
    assert set(re.findall(r"\{\$([A-Z_]+)\}", caddyfile)) == set(SERVICES["proxy"]["environment"])
    assert caddyfile.count("{") == caddyfile.count("}")


def test_the_proxy_lets_through_the_bucket_s_objects_and_nothing_else_of_the_store():
    """Every key that the program makes, by the methods of links; no list, no administration, no other bucket."""
    caddyfile = (PROJECT / "deploy" / "Caddyfile").read_text()
    site = caddyfile[caddyfile.index("{$PHOTOS_SITE}") :]
    matcher = site[site.index("@link {") : site.index("handle @link")]
    assert re.findall(r"method (.*)", matcher) == ["GET HEAD PUT"]
    assert "query X-Amz-Signature=*" in matcher
    [pattern] = re.findall(r"path_regexp (\S+)", matcher)
    path = re.compile(pattern)
    sha256, some_id = "ab" * 32, uuid4()
    keys = [
        original_key(sha256),
        rendition_key(sha256, "1280"),
        watermarked_key(sha256, some_id),
        spool_key(some_id, 0),
    ]
    assert all(path.search(f"/zoufang/{key}") for key in keys)
    for other in (
        "/", "/zoufang", "/zoufang/", "/zoufang/photos/", "/minio/admin/v3/info", "/minio/health/live",
        "/other/photos/ab", "/zoufang/photos/../../other/x", "/zoufang/selfcheck/x", "/zoufang/photos/ab?acl",
    ):  # fmt: skip
        assert not path.search(other), other
    assert site.count("reverse_proxy") == 1
    assert site.index("handle @link") < site.index("reverse_proxy") < site.index("respond 403")


def test_the_program_has_a_key_of_its_bucket_alone():
    """What it may do is what it does; the root key is with the store and with what makes the other key."""
    policy = json.loads((PROJECT / "deploy" / "store-policy.json").read_text())
    allowed = {action for statement in policy["Statement"] for action in statement["Action"]}
    assert allowed == {"s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:ListBucket", "s3:GetBucketLocation"}
    bucket = SERVICES["api"]["environment"]["ZOUFANG_S3_BUCKET"]
    resources = {resource for statement in policy["Statement"] for resource in statement["Resource"]}
    assert resources == {f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"}
    holders = {name for name, service in SERVICES.items() if "s3_root_password" in service.get("secrets", ())}
    assert holders == {"minio", "store-key"}
    subprocess.run(["sh", "-n", "deploy/store-key.sh"], cwd=PROJECT, check=True, timeout=60)
    for name in ("api", "worker"):
        assert "store-key" in SERVICES[name]["depends_on"]


def test_the_proxy_writes_down_no_secret_and_nobodys_name():
    """What is typed to find a person, what signs a link, what signs in; and no route asks for more of that kind."""
    caddyfile = (PROJECT / "deploy" / "Caddyfile").read_text()
    queried = set(re.findall(r"^\t+delete (\S+)$", caddyfile, re.MULTILINE))
    headers = set(re.findall(r"request>headers>(\S+) delete", caddyfile))
    assert queried >= {"X-Amz-Signature", "X-Amz-Credential"}
    assert headers >= {"Authorization", "Cookie", "Referer"}
    routes = json.loads((PROJECT / "openapi" / "openapi.json").read_text())["paths"].values()
    request = {
        item["name"] for route in routes for verb in route.values() for item in verb.get("parameters", [])
        if item["in"] == "query"
    }  # fmt: skip
    assert not request & {"name", "phone", "idNumber", "id_number", "number", "address", "text"}
    assert queried & request == {"q"}


def test_the_image_holds_what_the_program_needs_and_nothing_of_the_development():
    dockerfile = (PROJECT / "Dockerfile").read_text()
    copied = set(re.findall(r"^COPY (?!--from)(\S+)", dockerfile, re.MULTILINE))
    ignore = (PROJECT / ".dockerignore").read_text().splitlines()
    assert {line[1:] for line in ignore if line.startswith("!")} == copied
    assert "--require-hashes" in dockerfile
    assert {"media", "server", "field_api", "migrations"} <= copied


def test_every_command_of_the_compose_file_is_one_of_the_program():
    finished = subprocess.run(
        [sys.executable, "-m", "server", "--help"],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    for name in ("database-roles", "migrate", "api", "worker"):
        command = SERVICES[name]["command"]
        assert command == [name]
        assert re.search(rf"^\W*{name}\b", finished.stdout, re.MULTILINE)
    assert re.search(rf"^\W*{SERVICES['worker']['healthcheck']['test'][-1]}\b", finished.stdout, re.MULTILINE)


def test_make_secrets_draws_keys_the_settings_can_read_and_keeps_them(tmp_path):
    from server.core.keys import read_key, read_ring

    (tmp_path / "secrets").mkdir()
    script = tmp_path / "make-secrets.sh"
    script.write_text((PROJECT / "deploy" / "make-secrets.sh").read_text())
    subprocess.run(["sh", str(script)], check=True, capture_output=True, timeout=60)
    drawn = {file.name: file.read_text() for file in (tmp_path / "secrets").iterdir()}
    assert set(drawn) == set(COMPOSE["secrets"])
    for name in ("token_keys", "receipt_keys", "audit_keys", "pii_keys"):
        read_ring(name, drawn[name])
    read_key("blind_index_key", drawn["blind_index_key"])
    assert drawn["postgres_password"] in drawn["admin_database_url"]
    addresses = {name: value for name, value in drawn.items() if name.endswith("database_url")}
    assert len(set(addresses.values())) == len(addresses) == 4
    assert drawn["postgres_password"] not in drawn["application_database_url"]
    assert all(file.stat().st_mode & 0o007 == 0 for file in (tmp_path / "secrets").iterdir())
    subprocess.run(["sh", str(script)], check=True, capture_output=True, timeout=60)
    assert drawn == {file.name: file.read_text() for file in (tmp_path / "secrets").iterdir()}
