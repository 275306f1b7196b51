#!/bin/sh
# By hand through one recording: curl_walk.sh URL MODE START_REQUEST UPDATE_REQUEST
set -eu
url=$1 mode=$2 start=$3 update=$4
app=$url/v1/apps/emulator-app/cloud_recording
post() { curl -sS --fail-with-body -u whoever:whatever -H 'Content-Type: application/json' "$@"; echo; }
field() { sed -n 's/.*"'"$1"'": *"\([^"]*\)".*/\1/p'; }  # start must follow within two seconds
names='"cname": "room-1", "uid": "900001"'

scene=0; [ "$mode" = web ] && scene=1
rid=$(post "$app/acquire" -d "{$names, \"clientRequest\": {\"scene\": $scene}}" | field resourceId)
sid=$(post "$app/resourceid/$rid/mode/$mode/start" -d "{$names, \"clientRequest\": $start}" | field sid)
task=$app/resourceid/$rid/sid/$sid/mode/$mode
for _ in 1 2 3 4 5 6 7 8 9 10; do
    status=$(curl -sS --fail-with-body "$task/query" | python3 -c 'import json, sys; print(json.load(sys.stdin)["serverResponse"]["status"])')
    [ "$status" != 5 ] || break
    sleep 0.2
done
curl -sS --fail-with-body "$task/query"; echo
post "$task/update" -d "{$names, \"clientRequest\": $update}"
[ "$mode" != mix ] || post "$task/updateLayout" -d "{$names, \"clientRequest\": {\"mixedVideoLayout\": 1}}"
post "$task/stop" -d "{$names, \"clientRequest\": {\"async_stop\": true}}"
curl -sS --fail-with-body "$url/v1/ncs/ip"; echo
