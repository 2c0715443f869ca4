"""
Line plots as SVG, by hand: several panels beside each other, logarithmic in x,
linear or logarithmic in y. Knows nothing of what is plotted.
"""

import math
from xml.sax.saxutils import escape

WIDTH, HEIGHT = 340, 280
LEFT, RIGHT, TOP, BOTTOM = 62, 12, 34, 92
COLOURS = ["#0b5cad", "#c0392b", "#2e8b57", "#8e44ad", "#d68910", "#555555"]


def _text(x, y, text, size=11, anchor="middle", more=""):
    return ('<text x="%.1f" y="%.1f" font-size="%d" text-anchor="%s" %s>%s'
            '</text>' % (x, y, size, anchor, more, escape(text)))


def _short(value):
    if value >= 10000:
        return "%gk" % round(value / 1000, 1)
    return "%g" % round(value, 3 if value < 1 else 1)


class _Axis:
    """Values to places between two ends of the drawing."""

    def __init__(self, values, begin, end, log):
        self.log, self.begin, self.end = log, begin, end
        low, high = min(values), max(values)
        if log:
            self.low = math.floor(math.log10(low))
            self.high = max(math.ceil(math.log10(high)), self.low + 1)
            self.ticks = [10.0 ** e for e in range(self.low, self.high + 1)]
        else:
            step = 10.0 ** math.floor(math.log10(high or 1))
            step = next(step * m for m in (.2, .5, 1, 2)
                        if high / (step * m) <= 6)
            count = math.ceil(high / step)
            self.low, self.high = 0, count * step
            self.ticks = [i * step for i in range(count + 1)]

    def place(self, value):
        if self.log:
            value = math.log10(value)
        return self.begin + (self.end - self.begin) * \
            (value - self.low) / (self.high - self.low)


def panel(at, title, unit, x_name, xs, lines, log_y):
    """lines: name to its values at xs. Returns the panel's elements."""
    out = []
    values = [v for line in lines.values() for v in line]
    x = _Axis(xs, at + LEFT, at + WIDTH - RIGHT, True)
    y = _Axis(values, HEIGHT - BOTTOM, TOP, log_y)
    out.append(_text(at + (LEFT + WIDTH) / 2, 16, title, 13,
                     more='font-weight="bold"'))
    out.append(_text(at + LEFT - 4, 29, unit, 10, "end"))
    for tick in y.ticks:
        py = y.place(tick)
        out.append('<line x1="%.1f" x2="%.1f" y1="%.1f" y2="%.1f" '
                   'stroke="#ddd"/>' % (x.begin, x.end, py, py))
        out.append(_text(x.begin - 5, py + 4, _short(tick), 10, "end"))
    for value in xs:
        px = x.place(value)
        out.append('<line x1="%.1f" x2="%.1f" y1="%.1f" y2="%.1f" '
                   'stroke="#eee"/>' % (px, px, y.begin, y.end))
        out.append(_text(px, y.begin + 14, _short(value), 10))
    out.append(_text((x.begin + x.end) / 2, y.begin + 28, x_name, 10))
    for i, (name, line) in enumerate(lines.items()):
        colour = COLOURS[i % len(COLOURS)]
        points = [(x.place(a), y.place(b)) for a, b in zip(xs, line)]
        out.append('<polyline fill="none" stroke="%s" stroke-width="2" '
                   'points="%s"/>' % (colour, " ".join(
                       "%.1f,%.1f" % p for p in points)))
        out += ['<circle cx="%.1f" cy="%.1f" r="3" fill="%s"/>'
                % (p[0], p[1], colour) for p in points]
        lx = at + LEFT + (i % 2) * 140
        ly = HEIGHT - BOTTOM + 46 + (i // 2) * 15
        out.append('<rect x="%.1f" y="%.1f" width="10" height="10" '
                   'fill="%s"/>' % (lx, ly - 9, colour))
        out.append(_text(lx + 14, ly, name, 10, "start"))
    return out


def svg(panels):
    """panels: arguments of panel() after the first. Returns the document."""
    out = ['<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" '
           'font-family="sans-serif">' % (WIDTH * len(panels), HEIGHT),
           '<rect width="100%" height="100%" fill="white"/>']
    for i, arguments in enumerate(panels):
        out += panel(i * WIDTH, *arguments)
    out.append("</svg>")
    return "\n".join(out) + "\n"
