#!/bin/sh
# Makes the secrets that compose.yaml hands over as files: new passwords for Redis's users and a token for the gateway.
# What is there already stays. The vendor's two secrets cannot be made: it says where to write them.
#   sh deploy/compose/prepare.sh              secrets/, for the vendor
#   sh deploy/compose/prepare.sh --emulator   emulator/secrets/, complete
# The containers' users read the files: run it as root, and each file belongs to the one user that needs it (0400).
# Otherwise the files are readable for all, behind a folder that only you can enter (0700).
set -eu

here=$(cd "$(dirname "$0")" && pwd)
users=$here/../redis/users.acl
folder=$here/secrets
emulator=
case "${1-}" in
    '') ;;
    --emulator) folder=$here/emulator/secrets emulator=yes ;;
    *) echo "usage: prepare.sh [--emulator]" >&2; exit 2 ;;
esac

umask 077
mkdir -p "$folder"

random() { od -An -N32 -tx1 /dev/urandom | tr -d ' \n'; }

# by a rename: a file is whole or not there
put() { # name, standard input
    cat > "$folder/.new" && mv "$folder/.new" "$folder/$1"
}

# Passwords and addresses belong together: all three or none
if [ ! -e "$folder/users.acl" ] || [ ! -e "$folder/receiver_redis_url" ] || [ ! -e "$folder/scheduler_redis_url" ]; then
    receiver=$(random) scheduler=$(random)
    printf 'redis://receiver:%s@redis:6379/0' "$receiver" | put receiver_redis_url
    printf 'redis://scheduler:%s@redis:6379/0' "$scheduler" | put scheduler_redis_url
    sed -e "s/^user receiver on resetpass /user receiver on >$receiver /" \
        -e "s/^user scheduler on resetpass /user scheduler on >$scheduler /" "$users" | put users.acl
fi
[ -e "$folder/gateway_token" ] || random | put gateway_token
if [ -n "$emulator" ]; then
    # of an account that does not exist: nothing to protect
    printf emulator-secret | put receiver_secret
    printf emulator-customer-secret | put customer_secret
fi

missing=
for name in receiver_secret customer_secret; do
    [ -s "$folder/$name" ] || missing="$missing $name"
done

for file in "$folder"/*; do
    if [ "$(id -u)" = 0 ]; then
        case "$file" in
            */users.acl) chown 999:999 "$file" ;;
            *) chown 10001:10001 "$file" ;;
        esac
        chmod 0400 "$file"
    else
        chmod 0444 "$file"
    fi
done

if [ -n "$missing" ]; then
    echo "left to do: write the console's values into these files of $folder, then run this once more:$missing" >&2
    exit 1
fi
echo "complete: $folder"
