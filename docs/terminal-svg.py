#!/usr/bin/env python3
"""Turns the coloured output of a command (standard input) into an SVG picture of a terminal (standard output).

    script -qc "npvr status" /dev/null | docs/terminal-svg.py "npvr status" > docs/status.svg
"""
import re
import sys
from html import escape

COLOURS = {"31": "#f47067", "32": "#57ab5a", "33": "#daaa3f"}
CELL_W, CELL_H, PAD = 8.4, 18, 14


def spans(line):
    """Pieces of a line, each with its style: (style, text)."""
    style = ""
    for piece in re.split(r"(\x1b\[[0-9;]*m)", line):
        code = re.fullmatch(r"\x1b\[([0-9;]*)m", piece)
        if code is None:
            if piece:
                yield style, piece
        elif code[1] in ("", "0"):
            style = ""
        elif code[1] == "1":
            style = 'font-weight="bold"'
        elif code[1] == "2":
            style = 'fill="#768390"'
        elif code[1] in COLOURS:
            style = f'fill="{COLOURS[code[1]]}"'


def main():
    command = sys.argv[1]
    lines = ["\x1b[2m$\x1b[0m " + command] + sys.stdin.read().replace("\r", "").rstrip("\n").split("\n")
    width = max(len(re.sub(r"\x1b\[[0-9;]*m", "", line)) for line in lines) * CELL_W + 2 * PAD
    height = len(lines) * CELL_H + 2 * PAD
    print(f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height}" role="img">')
    print(f"<title>{escape(command)}</title>")
    print(f'<rect width="100%" height="100%" rx="8" fill="#22272e"/>')
    print('<g font-family="DejaVu Sans Mono, Menlo, Consolas, monospace" font-size="14" fill="#adbac7" xml:space="preserve">')
    for row, line in enumerate(lines):
        column, y = 0, PAD + (row + 0.75) * CELL_H
        for style, text in spans(line):
            x, length = PAD + column * CELL_W, len(text) * CELL_W
            print(f'<text x="{x:.1f}" y="{y:.1f}" textLength="{length:.1f}" {style}>{escape(text)}</text>')
            column += len(text)
    print("</g></svg>")


main()
