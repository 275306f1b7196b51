#!/bin/sh
# Writes whom the table admits now to last-known.nft, for the next boot. agora-sidecar-nftables-save.timer runs it.
# An empty list never replaces a full one, and a file that nft would not load never replaces one that it does:
# a broken include would leave the machine without its whole rule set.
set -eu

folder=${1:-/var/lib/agora-sidecar-nftables}
new=$folder/new # not of the form that the include looks for
trap 'rm -f "$new"' EXIT

for name in ncs4 ncs6; do
    nft list set inet agora_sidecar "$name" | tr '\n\t' '  ' |
        sed -n "s/.*elements = \({[^}]*}\).*/add element inet agora_sidecar $name \1\n/p"
done > "$new"

if [ ! -s "$new" ]; then
    echo "nobody is admitted now: the last known list stays as it is" >&2
    exit 0
fi
nft --check --file "$new"
sync "$new"
mv "$new" "$folder/last-known.nft"
