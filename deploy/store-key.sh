#!/bin/sh
# Makes the bucket and a key for it alone, with the store's root key; the program holds only the former. Runs in the
# store's own image at every `up` and changes nothing that is there already.
set -eu
secret() { cat "/run/secrets/$1"; }

mc --quiet alias set store http://minio:9000 "$(secret s3_root_user)" "$(secret s3_root_password)"
mc --quiet mb --ignore-existing store/zoufang
mc --quiet admin policy create store zoufang-bucket /store-policy.json
mc --quiet admin user add store "$(secret s3_access_key)" "$(secret s3_secret_key)"
mc --quiet admin policy attach store zoufang-bucket --user "$(secret s3_access_key)" || echo "attached already"

# The new key must reach its bucket; if the policy is not attached, this fails and nothing else starts.
mc --quiet alias set own http://minio:9000 "$(secret s3_access_key)" "$(secret s3_secret_key)"
mc --quiet ls own/zoufang > /dev/null
