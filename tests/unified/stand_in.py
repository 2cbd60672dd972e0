#!/usr/bin/env python3
"""Stands in for unified_capture: takes its arguments, and does with a publishing point what is documented of it.

It fetches what the manifest lists from vbegin to vend (half-open) and writes one file with all tracks: track by track as
the manifest has them, no mfra, numbers of its own. STAND_IN says how it goes wrong, and LAYOUT=muxed puts all tracks into
one moof. It knows nothing of npvr's code.

STAND_IN_TELL=PORT: it connects there, tells its command line, and holds on to the connection as long as it, or a child of
its own, lives.
"""

import os
import re
import signal
import socket
import struct
import subprocess
import sys
import time
import urllib.request
import xml.etree.ElementTree as xml
from datetime import datetime
from fractions import Fraction
from urllib.parse import parse_qs, urljoin, urlsplit

MODE = os.environ.get("STAND_IN", "")
DASH = "{urn:mpeg:dash:schema:mpd:2011}"


def say(text):
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


def tell():
    """Tells the test that it runs, and how it was called; the connection is there as long as this process is."""
    port = os.environ.get("STAND_IN_TELL")
    if not port:
        return None
    line = socket.create_connection(("127.0.0.1", int(port)))
    line.sendall(open("/proc/self/cmdline", "rb").read() + b"\n")
    return line


def hang(line):
    """Goes on for ever, whatever it is asked, with a child that does the same."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if MODE == "slow":
        say("slowly")
        fds = [line.fileno()] if line else []
        subprocess.Popen(
            [sys.executable, "-c", "import signal; signal.signal(15, signal.SIG_IGN); signal.pause()"],
            pass_fds=fds,
        )
    while True:
        time.sleep(3600)


def get(url):
    with urllib.request.urlopen(url, timeout=20) as answer:
        return answer.read()


def instant(text):
    at = datetime.fromisoformat(text.replace("Z", "+00:00"))
    return Fraction(int(at.timestamp() * 1000), 1000)


def boxes(data):
    at = 0
    while at < len(data):
        size, kind = struct.unpack(">I4s", data[at : at + 8])
        yield kind, data[at + 8 : at + size]
        at += size


def box(kind, body):
    return struct.pack(">I4s", 8 + len(body), kind) + body


def child(data, *path):
    for kind in path:
        data = next(body for k, body in boxes(data) if k == kind)
    return data


def numbered(trak, number):
    """A trak with another number (tkhd version 0)."""
    out = b""
    for kind, body in boxes(trak):
        if kind == b"tkhd":
            assert body[0] == 0
            body = body[:12] + struct.pack(">I", number) + body[16:]
        out += box(kind, body)
    return box(b"trak", out)


def segments(template, begin, end):
    """Times of the segments that start in [begin, end)."""
    timescale = int(template.get("timescale"))
    at = 0
    for s in template.find(DASH + "SegmentTimeline"):
        at = int(s.get("t", at))
        for _ in range(int(s.get("r", 0)) + 1):
            if begin <= Fraction(at, timescale) < end:
                yield at
            at += int(s.get("d"))


def tracks(url):
    """Each track of the manifest: its init segment, and its segments."""
    query = parse_qs(urlsplit(url).query)
    begin, end = instant(query["vbegin"][0]), instant(query["vend"][0])
    assert query["filter"] == ['(type!="meta")'], query
    mpd = xml.fromstring(get(url))
    period = mpd.find(DASH + "Period")
    base = urljoin(url, period.find(DASH + "BaseURL").text)
    for of_set in period.findall(DASH + "AdaptationSet"):
        for representation in of_set.findall(DASH + "Representation"):
            template = representation.find(DASH + "SegmentTemplate")
            template = of_set.find(DASH + "SegmentTemplate") if template is None else template
            name = representation.get("id")

            def at(pattern, t=0):
                return urljoin(base, pattern.replace("$RepresentationID$", name).replace("$Time$", str(t)))

            times = list(segments(template, begin, end))
            if MODE == "short":
                times = times[: len(times) // 2]
            init = get(at(template.get("initialization")))
            yield init, [get(at(template.get("media"), t)) for t in times]


def header(inits):
    trex = b""
    traks = b""
    for n, init in enumerate(inits):
        moov = child(init, b"moov")
        traks += numbered(child(moov, b"trak"), 11 + n)
        defaults = child(moov, b"mvex", b"trex")[8:]
        trex += box(b"trex", b"\0\0\0\0" + struct.pack(">I", 11 + n) + defaults)
    mvhd = box(b"mvhd", child(inits[0], b"moov", b"mvhd"))
    ftyp = box(b"ftyp", b"isml\0\0\0\1isml" + b"piff" + b"iso2")
    return ftyp + box(b"free", b"made by a stand-in") + box(b"moov", mvhd + traks + box(b"mvex", trex))


def moof(parts, sequence):
    """One moof of these (number of the track, segment), and the media of all in one mdat."""
    trafs = []
    media = [child(segment, b"mdat") for _, segment in parts]
    for number, segment in parts:
        traf = {kind: body for kind, body in boxes(child(segment, b"moof", b"traf"))}
        tfhd = traf[b"tfhd"][:4] + struct.pack(">I", number) + traf[b"tfhd"][8:]
        tfdt = traf[b"tfdt"]
        if MODE == "rebased":
            tfdt = tfdt[:4] + struct.pack(">Q", 0)
        trafs.append([box(b"tfhd", tfhd) + box(b"tfdt", tfdt), traf[b"trun"]])
    size = 8 + 16 + sum(8 + len(head) + 8 + len(trun) for head, trun in trafs)
    at = size + 8
    body = box(b"mfhd", b"\0\0\0\0" + struct.pack(">I", sequence))
    for (head, trun), data in zip(trafs, media):
        body += box(b"traf", head + box(b"trun", trun[:8] + struct.pack(">i", at) + trun[12:]))
        at += len(data)
    return box(b"moof", body) + box(b"mdat", b"".join(media))


def capture(url):
    found = list(tracks(url))
    if MODE == "lacks":
        found = found[:-1]
    file = header([init for init, _ in found])
    parts = []
    for n in range(max(len(all_of) for _, all_of in found)):
        row = [(11 + i, all_of[n]) for i, (_, all_of) in enumerate(found) if n < len(all_of)]
        parts += [row] if os.environ.get("LAYOUT") == "muxed" else [[one] for one in row]
    for sequence, row in enumerate(parts):
        file += moof(row, sequence + 1)
    return file[: len(file) * 2 // 3] if MODE == "half" else file


def main():
    flags, (out, url) = sys.argv[1:5], sys.argv[5:]
    assert flags == ["--remix", "-v", "3", "-o"], sys.argv
    assert re.fullmatch(r".*\.ismv", out), out
    line = tell()
    licence = os.environ["UspLicenseKey"]
    if MODE == "silent":
        hang(line)
    say(f"unified_capture stand-in, licence {licence}, {url}")
    with open(os.environ["STAND_IN_RUNS"], "a", encoding="utf-8") as runs:
        runs.write(out + "\n")
    if MODE == "slow":
        hang(line)
    if MODE == "flood":
        flood = (f"flood {n} of {licence}, and much more that nobody wants to read in a log" for n in range(300_000))
        say("\n".join(flood))
    if MODE in ("fails", "flood"):
        say("the end of it")
        sys.exit(7)
    if MODE == "crashes":
        os.kill(os.getpid(), signal.SIGABRT)
    if MODE == "no-file":
        return
    with open(out, "wb") as file:
        file.write(b"" if MODE == "empty" else capture(url))
    say("done")


main()
