#!/bin/sh
# Makes the media that `npvr sim` loops: src/sim/media/*.mp4. Needs ffmpeg with libx264.
#
# Each file is one track: an init segment, then fragments with all its samples. The simulation cuts its own segments from
# the samples, so nothing here decides where a segment begins. Two things must hold, and a test checks both:
# - video is 25 fps with a closed GOP of 48 frames (1.92 s); the loop is 16 of them, 30.72 s;
# - audio is 48 kHz AAC-LC in frames of 1024 samples; the loop is 1440 of them, 30.72 s to the sample.
#
# The files in `restart-*` are what the encoder makes after a scripted restart: other parameters, so other init segments.
# They loop every 1.92 s, which keeps them small.
set -eu
cd "$(dirname "$0")/../src/sim/media"

FRAGMENT="empty_moov+delay_moov+default_base_moof"
ff() { ffmpeg -v error -nostdin -y "$@"; }

# Slow waves of colour, with a test picture and its frame counter going round.
picture() { # width, height, frames, seed of the colours
    w=$1; h=$2
    printf '%s' "gradients=s=${w}x${h}:r=25:d=30.72:c0=0x1b3a5c:c1=0x2f7d74:c2=0xe0a458:c3=0x8a3b5a:n=4:speed=0.004:seed=$4[a];"
    printf '%s' "testsrc2=s=$((w / 4))x$((h / 4)):r=25:d=30.72[b];"
    printf '%s' "[a][b]overlay=x='$((w * 3 / 8))+$((w * 5 / 16))*sin(2*PI*t/15.36)':y='$((h * 3 / 8))+$((h * 5 / 18))*sin(2*PI*t/7.68)',"
    printf '%s' "trim=end_frame=$3[out]"
}

video() { # file, width, height, bit rate, B-frames, profile, frames, seed, edit list
    ff -filter_complex "$(picture "$2" "$3" "$7" "$8")" -map '[out]' \
        -c:v libx264 -preset veryslow -profile:v "$6" -pix_fmt yuv420p -flags +bitexact -threads 1 \
        -g 48 -keyint_min 48 -bf "$5" -x264-params open-gop=0:scenecut=0 \
        -b:v "$4" -maxrate "$4" -bufsize "$4" \
        -video_track_timescale 600 -use_editlist "$9" -fflags +bitexact -movflags "$FRAGMENT" "$1"
}

# A tune of four notes, each fading before the next, so that the loop's edge is not heard. AAC puts one frame of its own
# in front: the input is one frame shorter than the loop.
audio() { # file, base frequency, language, channels, bit rate, frames
    note="mod(floor(t/0.48),4)"
    tone="$2*(1+0.25*$note+0.01*gt($note,2))"
    wave="0.3*sin(2*PI*$tone*t)*min(1,200*mod(t,0.48))*exp(-6*mod(t,0.48))"
    ff -f lavfi -i "aevalsrc='$wave':s=48000:d=31,atrim=end_sample=$(($6 * 1024 - 1024))" \
        -c:a aac -ac "$4" -b:a "$5" -flags +bitexact -metadata:s:a:0 "language=$3" \
        -use_editlist 0 -fflags +bitexact -movflags "$FRAGMENT" "$1"
}

video video-high.mp4 640 360 110k 2 main 768 7 1
video video-low.mp4 320 180 45k 0 baseline 768 7 0
audio audio-eng.mp4 440 eng 1 32k 1440
audio audio-nld.mp4 330 nld 1 32k 1440
video restart-video-high.mp4 640 360 110k 2 high 48 3 1
video restart-video-low.mp4 320 180 45k 0 main 48 3 0
audio restart-audio-eng.mp4 440 eng 2 32k 90
audio restart-audio-nld.mp4 330 nld 2 32k 90
