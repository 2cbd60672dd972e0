#!/usr/bin/env bash
# Ceph's S3 gateway on the loopback, with all that it stands on: one monitor, one store in memory. For tests.
#
#     tests/s3-servers/rgw.sh start FOLDER    http://127.0.0.1:17480, key RGWKEY, secret RGWSECRET
#     tests/s3-servers/rgw.sh stop FOLDER
set -euo pipefail
PATH=$PATH:/usr/sbin

[ $# = 2 ] || { echo "usage: rgw.sh start|stop FOLDER" >&2 && exit 2; }
readonly FOLDER=$2
readonly KEYRING=$FOLDER/keyring
readonly CEPH=(-c "$FOLDER/ceph.conf")

configure() {
  cat >"$FOLDER/ceph.conf" <<EOF
[global]
fsid = $1
mon host = [v2:127.0.0.1:16788,v1:127.0.0.1:16789]
public addr = 127.0.0.1
cluster addr = 127.0.0.1
auth allow insecure global id reclaim = false
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 4
osd pool default pgp num = 4
mon allow pool size one = true
mon max pg per osd = 1000
osd crush chooseleaf type = 0
osd objectstore = memstore
memstore device bytes = 4294967296
osd heartbeat grace = 120
log file = $FOLDER/log/\$name.log
pid file = $FOLDER/run/\$name.pid
admin socket = $FOLDER/run/\$name.asok
run dir = $FOLDER/run
mon data = $FOLDER/mon
osd data = $FOLDER/osd
keyring = $KEYRING
ms bind ipv6 = false
[client.rgw]
rgw frontends = beast endpoint=127.0.0.1:17480
rgw enable usage log = false
rgw data = $FOLDER/rgw
EOF
}

start() {
  local cluster osd name
  mkdir -p "$FOLDER"/{mon,osd,run,log,rgw}
  cluster=$(cat /proc/sys/kernel/random/uuid)
  osd=$(cat /proc/sys/kernel/random/uuid)
  configure "$cluster"
  ceph-authtool -C "$KEYRING" --gen-key -n mon. --cap mon 'allow *'
  for name in client.admin osd.0 client.rgw; do
    ceph-authtool "$KEYRING" --gen-key -n $name --cap mon 'allow *' --cap osd 'allow *' --cap mgr 'allow *'
  done
  monmaptool --create --addv a '[v2:127.0.0.1:16788,v1:127.0.0.1:16789]' --fsid "$cluster" "$FOLDER/monmap"
  ceph-mon "${CEPH[@]}" -i a --mkfs --monmap "$FOLDER/monmap" --keyring "$KEYRING"
  ceph-mon "${CEPH[@]}" -i a
  timeout 30 ceph "${CEPH[@]}" osd new "$osd" 0
  ceph-osd "${CEPH[@]}" -i 0 --mkfs --osd-uuid "$osd" --keyring "$KEYRING"
  ceph-osd "${CEPH[@]}" -i 0 --keyring "$KEYRING"
  timeout 30 ceph "${CEPH[@]}" osd crush add osd.0 1.0 root=default host="$(hostname)"
  radosgw "${CEPH[@]}" -n client.rgw --keyring "$KEYRING"
  curl --silent --output /dev/null --retry 120 --retry-delay 1 --retry-max-time 90 --retry-all-errors http://127.0.0.1:17480/
  radosgw-admin "${CEPH[@]}" -n client.rgw --keyring "$KEYRING" user create \
    --uid npvr --display-name npvr --access-key RGWKEY --secret-key RGWSECRET
}

stop() {
  local pid
  for pid in "$FOLDER"/run/{client.rgw,osd.0,mon.a}.pid; do
    if [ -f "$pid" ]; then kill "$(cat "$pid")" || true; fi
  done
}

case $1 in
start) start ;;
stop) stop ;;
*) echo "usage: rgw.sh start|stop FOLDER" >&2 && exit 2 ;;
esac
