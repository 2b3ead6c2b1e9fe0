#!/bin/sh
# Draws the secrets of docker-compose.yml into deploy/secrets, once: what is there already is kept.
# Keep a copy elsewhere: without pii_keys and blind_index_key the personal data in a backup can't be read.
set -eu
umask 077
cd "$(dirname "$0")/secrets"

key() { openssl rand -base64 32; }
word() { openssl rand -hex 24; }
keep() { # name, value
  if [ -s "$1" ]; then echo "kept  $1"; else printf '%s' "$2" > "$1"; echo "drawn $1"; fi
}

keep postgres_password "$(word)"
# The superuser's address, which sets up the other roles; the program worked with it before they were there.
[ -s database_url ] && mv database_url admin_database_url
keep admin_database_url "postgresql+psycopg://zoufang:$(cat postgres_password)@postgres:5432/zoufang"
for role in owner application maintenance; do # owner_database_url, application_database_url, maintenance_database_url
  keep "${role}_database_url" "postgresql+psycopg://zoufang_${role}:$(word)@postgres:5432/zoufang"
done
keep s3_root_user "root-$(openssl rand -hex 6)"
keep s3_root_password "$(word)"
keep s3_access_key "zoufang-$(openssl rand -hex 4)"
keep s3_secret_key "$(word)"
keep token_keys "t1:$(key)"
keep receipt_keys "r1:$(key)"
keep audit_keys "a1:$(key)"
keep pii_keys "p1:$(key)"
keep blind_index_key "$(key)"
keep metrics_token "$(word)"
[ -e backup_s3_secret_key ] || : > backup_s3_secret_key # of the server that holds the backups, if it is S3
[ -e sms_key_secret ] || : > sms_key_secret # of the text messages' AccessKey
[ -e wechat_service_secret ] || : > wechat_service_secret # of the service account, for sign-in on the web
[ -e wechat_push_token ] || : > wechat_push_token # of the message push (消息推送), as in WeChat's console
[ -e wechat_push_key ] || : > wechat_push_key # its EncodingAESKey
[ -e wechat_secret ] || { : > wechat_secret; echo "empty wechat_secret: put the mini-program's secret into it"; }

# The containers run as several users; all of them are in this group.
if chgrp 10001 ./*_* 2>/dev/null; then chmod 640 ./*_*; else
  echo "as root: chgrp 10001 deploy/secrets/*_* && chmod 640 deploy/secrets/*_*" >&2
fi
