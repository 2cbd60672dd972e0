#!/bin/sh
# shaka.sh FOLDER SECONDS none|cbcs: a live DASH presentation by Shaka Packager in FOLDER, in real time, for SECONDS.
#
# ffmpeg encodes one video (25 frames a second, 2 s segments) and one audio track (48 kHz) into pipes; the packager, which
# $NPVR_PACKAGER names, makes DASH of them. The key of cbcs is tests/encoders.rs's.
set -eu
mkdir -p "$1"
cd "$1"
pipes=$(mktemp -d)
trap 'kill "$encoder" "$packager" 2>/dev/null || true; rm -rf "$pipes"' EXIT
trap 'exit 143' TERM INT
mkfifo "$pipes/v.ts" "$pipes/a.ts"

ffmpeg -hide_banner -loglevel error -nostdin -y \
  -re -f lavfi -i testsrc2=s=320x180:r=25,format=yuv420p -re -f lavfi -i sine=frequency=440:beep_factor=2:sample_rate=48000 \
  -map 0:v -c:v libx264 -preset ultrafast -tune zerolatency -profile:v baseline -g 50 -keyint_min 50 -sc_threshold 0 \
  -x264-params scenecut=0:open_gop=0:threads=1 -b:v 300k -t "$2" -f mpegts -muxdelay 0 "$pipes/v.ts" \
  -map 1:a -c:a aac -ar 48000 -ac 2 -b:a 64k -t "$2" -f mpegts -muxdelay 0 "$pipes/a.ts" &
encoder=$!

stream() { echo "in=$pipes/$1.ts,stream=$2,init_segment=$1-init.mp4,segment_template=$1-\$Time\$.m4s$3"; }
set -- "$3" "$(stream v video '')" "$(stream a audio ,language=eng)" \
  --segment_duration 2 --time_shift_buffer_depth 120 --preserved_segments_outside_live_window 10 \
  --minimum_update_period 2 --suggested_presentation_delay 4 --min_buffer_time 2 \
  --mpd_output manifest.mpd --io_block_size 4096 --quiet
encryption=$1
shift
if [ "$encryption" != none ]; then
  set -- "$@" --enable_raw_key_encryption --protection_scheme "$encryption" --protection_systems Common --clear_lead 0 \
    --keys label=:key_id=00112233445566778899aabbccddeeff:key=0123456789abcdef0123456789abcdef
fi
"$NPVR_PACKAGER" "$@" &
packager=$!
wait "$packager"
