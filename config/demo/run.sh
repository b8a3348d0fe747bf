#!/usr/bin/env bash
# The demo: a station, its simulated neighbourhood and one worker's phone. Started by `make run`; Ctrl-C ends all of it.
# One argument: the folder with the programs.
set -euo pipefail
cd "$(dirname "$0")/../.."
programs=$1
folder=.run/demo
mkdir -p "$folder"

api=http://127.0.0.1:8080
for port in 8080 8090 15020 18830; do
  if (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
    echo "Port $port on 127.0.0.1 is in use. End what listens there (another demo?) and start again." >&2
    exit 1
  fi
done

[ -s "$folder/token" ] || head -c 24 /dev/urandom | base64 | tr '+/' '-_' >"$folder/token"
[ -s "$folder/webhook-secret" ] || head -c 24 /dev/urandom | base64 | tr '+/' '-_' >"$folder/webhook-secret"
chmod 600 "$folder/token" "$folder/webhook-secret"
GRIDWARDEN_DEMO_TOKEN=$(cat "$folder/token")
GRIDWARDEN_DEMO_WEBHOOK_SECRET=$(cat "$folder/webhook-secret")
export GRIDWARDEN_DEMO_TOKEN GRIDWARDEN_DEMO_WEBHOOK_SECRET

running=()
stop() {
  trap - EXIT INT TERM HUP
  for pid in "${running[@]}"; do kill "$pid" 2>/dev/null || true; done
  for pid in "${running[@]}"; do wait "$pid" 2>/dev/null || true; done
}
trap 'stop; exit 0' INT TERM HUP
trap stop EXIT

# Each in a session of its own: Ctrl-C reaches only this script, which then ends them in order. Asked twice, the station would end at once.
setsid "$programs/gridwarden" run -c config/demo/station.toml 2>"$folder/station.log" &
running+=($!)
station=$!
for _ in $(seq 200); do
  curl -fsS "$api/readyz" >/dev/null 2>&1 && break
  if ! kill -0 "$station" 2>/dev/null; then
    echo "The station did not start:" >&2
    tail -n 20 "$folder/station.log" >&2
    exit 1
  fi
  sleep 0.1
done

# Floor plans and the ground from above, and what hangs where on them: as an administrator puts them in.
plans=config/demo/plans
encoded() { printf %s "$1" | od -An -v -tx1 | tr -d '\n' | tr ' ' '%'; }
while IFS=, read -r code picture cell building floor corners; do
  if [ -n "$building" ]; then shows="building=$(encoded "$building")&floor=$floor"; else shows="corners=$corners"; fi
  curl -fsS -X PUT -H "Authorization: Bearer $GRIDWARDEN_DEMO_TOKEN" --data-binary "@$plans/$picture" "$api/api/v1/plans/$code?cell=$cell&$shows" >/dev/null
done < <(tail -n +2 "$plans/plans.csv")
curl -fsS -H "Authorization: Bearer $GRIDWARDEN_DEMO_TOKEN" --data-binary "@$plans/pins.csv" "$api/api/v1/imports/devices?file=pins.csv" >/dev/null

cat <<EOF

  Gridwarden 网格哨 demo

  Page      $api/#token=$GRIDWARDEN_DEMO_TOKEN
  API       $api/api/v1/alarms      (Authorization: Bearer $GRIDWARDEN_DEMO_TOKEN)
  MQTT      127.0.0.1:18830         (try: mosquitto_pub -p 18830 -q 1 -t gridwarden/up/SD-001 -m '{"values":{"smoke":true}}')
  Log       $folder/station.log

  In about 20 seconds a kitchen catches fire. What the grid worker's phone shows, and the line that answers it, appear below.
  Ctrl-C ends everything.

EOF

setsid "$programs/firmware-sim" phone --bind 127.0.0.1:8090 --secret-env GRIDWARDEN_DEMO_WEBHOOK_SECRET \
  --station "$api" --token-file "$folder/token" &
running+=($!)
setsid "$programs/firmware-sim" run --mqtt 127.0.0.1:18830 --modbus-bind 127.0.0.1:15020 \
  --neighbourhood config/demo/devices.csv --scenario kitchen-fire --seed 1 &
running+=($!)

wait -n "${running[@]}" || true
echo "One of the demo's programs ended; stopping the others. The station's log: $folder/station.log" >&2
exit 1
