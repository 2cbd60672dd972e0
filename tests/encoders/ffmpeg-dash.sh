#!/bin/sh
# ffmpeg-dash.sh FOLDER SECONDS WINDOW MOVFLAGS: a live DASH presentation in FOLDER, in real time, for SECONDS.
#
# Two video renditions (25 frames a second, 2 s segments) and two audio languages (48 kHz). WINDOW is how many segments the
# manifest keeps; 5 is what ffmpeg does by itself. MOVFLAGS go to the muxer of the segments: with +cmaf+frag_discont their
# decode times are on the manifest's clock, with +cmaf alone they begin at 0 and audio is off by its priming.
set -eu
mkdir -p "$1"
cd "$1"
# shellcheck disable=SC2016 # $RepresentationID$ and $Time$ are for the manifest, not for the shell.
exec ffmpeg -hide_banner -loglevel error -nostdin \
  -re -f lavfi -i testsrc2=s=320x180:r=25,format=yuv420p \
  -re -f lavfi -i sine=frequency=440:beep_factor=2:sample_rate=48000 \
  -re -f lavfi -i sine=frequency=660:sample_rate=48000 \
  -t "$2" -filter_complex '[0:v]split[a][b];[b]scale=192:108[c]' -map '[a]' -map '[c]' -map 1:a -map 2:a \
  -c:v libx264 -preset ultrafast -tune zerolatency -profile:v baseline -g 50 -keyint_min 50 -sc_threshold 0 \
  -x264-params scenecut=0:open_gop=0:threads=1 -b:v:0 300k -b:v:1 120k \
  -c:a aac -ar 48000 -ac 2 -b:a 64k -metadata:s:a:0 language=eng -metadata:s:a:1 language=nld \
  -f dash -seg_duration 2 -use_template 1 -use_timeline 1 -update_period 2 \
  -window_size "$3" -extra_window_size 5 -remove_at_exit 0 \
  -dash_segment_type mp4 -format_options "movflags=$4" -adaptation_sets 'id=0,streams=0,1 id=1,streams=2 id=2,streams=3' \
  -init_seg_name 'init-$RepresentationID$.mp4' -media_seg_name 's-$RepresentationID$-$Time$.m4s' manifest.mpd
