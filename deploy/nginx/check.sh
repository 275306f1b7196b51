#!/bin/sh
# Can nginx include this file? In the settings: check = ["/usr/local/lib/agora-sidecar/nginx-check.sh", "{}"]
# `nginx -t` alone looks at the file that is in force, not at the one that is to replace it. Needs no rights.
set -eu
new=$1
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cat >"$folder/nginx.conf" <<CONF
pid "$folder/pid";
error_log stderr;
events {}
http {
    access_log off;
    client_body_temp_path "$folder/body"; proxy_temp_path "$folder/proxy"; fastcgi_temp_path "$folder/fastcgi";
    uwsgi_temp_path "$folder/uwsgi"; scgi_temp_path "$folder/scgi";
    server { listen "unix:$folder/socket"; include "$new"; }
}
CONF
PATH=$PATH:/usr/sbin:/sbin nginx -q -t -e stderr -c "$folder/nginx.conf"
[ "$(tail -n 1 "$new")" = "deny all;" ] || { echo "its last line is not deny all;" >&2; exit 1; }
