"""The results as a document in markdown and as JSON."""

import json
import statistics

import lines

SECTIONS = (
    ("How good the link is", "_links"),
    ("Medians", "_medians"),
    ("CPU time by program", "_cpu"),
    ("Wanted", "_verdicts"),
    ("Beside the best peer", "_ahead"),
    ("Remarks, and what was not measured", "_troubles"),
    ("Environment", "_environment"),
)


def quantity(value, unit):
    """A value with as many digits as it deserves, and its unit if needed."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if unit == "us":
        if value >= 10000:
            return "%.1f ms" % (value / 1000)
        return "%.0f µs" % value
    return _digits(value)


def _digits(value):
    if abs(value) >= 100:
        return "%.0f" % value
    if abs(value) >= 10:
        return "%.1f" % value
    return "%.2f" % value


def _table(head, rows):
    text = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    text += ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join(text) + "\n"


class Report:
    def __init__(self, results, contenders, places, verdicts):
        self.results = results
        self.contenders = contenders
        self.places = places
        self.verdicts = verdicts

    def text(self):
        out = ["# tests/bench\n"]
        for title, method in SECTIONS:
            body = getattr(self, method)()
            if body:
                out.append("## %s\n\n%s" % (title, body))
        return "\n".join(out)

    def _links(self):
        rows = []
        for p in self.places:
            seen = self.results.places[p.name]
            rows.append((p.title, quantity(seen["wanted_us"], "us"),
                         quantity(seen["p50_us"], "us"),
                         quantity(seen["p99_us"], "us")))
        return ("Round trip of 200 B each way over raw TCP, before all "
                "else.\n\n" + _table(("place", "wanted", "p50", "p99"),
                                     rows))

    # -- medians --

    def _cell(self, place, contender, line):
        value = self.results.median(place.name, contender.name, line.key)
        text = quantity(value, line.unit)
        raw = self.results.median(place.name, "raw", line.key)
        if (contender.name != "raw" and raw and value is not None
                and line.unit in ("us", "MB/s")):
            text += " (%.2f×)" % (value / raw)
        return text

    def _medians(self):
        head = ["", *(c.title for c in self.contenders)]
        rows = []
        for place in self.places:
            for line in lines.LINES:
                cells = [self._cell(place, c, line) for c in self.contenders]
                if any(c != "–" for c in cells):
                    unit = "" if line.unit in ("us", "yes") \
                        else ", " + line.unit
                    rows.append(["%s: %s%s" % (place.title, line.title, unit),
                                 *cells])
        return ("Of %s; in parentheses the ratio to raw TCP.\n\n"
                % self._runs() + _table(head, rows))

    def _runs(self):
        count = max(len(self.results.of(p.name, c.name))
                    for p in self.places for c in self.contenders)
        return "%d run%s" % (count, "" if count == 1 else "s")

    # -- CPU --

    def _cpu(self):
        parts = ("client", "server", "nginx", "target", "load")
        rows = []
        for place in self.places:
            for key in ("cpu_down", "cpu_up", "cpu_paced", "idle_kb"):
                for c in self.contenders:
                    values = [self.results.part(place.name, c.name, key, p)
                              for p in parts]
                    total = self.results.median(place.name, c.name, key)
                    if total is None:
                        continue
                    line = lines.LINE[key]
                    rows.append(["%s, %s" % (line.title, line.unit), c.title,
                                 _digits(total),
                                 *(quantity(v, "") for v in values)])
        if not rows:
            return ""
        return ("User and system. The sum is of the tunnel's or the peer's "
                "two halves and nginx; target and load generator are "
                "apart.\n\n" + _table(("", "", "sum", "client", "server",
                                       "nginx", "target", "load"), rows))

    # -- verdicts --

    def _verdicts(self):
        names = list(dict.fromkeys(v.contender for v in self.verdicts))
        if not names:
            return ""
        grouped = {}
        for v in self.verdicts:
            grouped.setdefault(v.wanted, {})[v.contender] = v
        titles = {p.name: p.title for p in self.places}
        rows = []
        for wanted, verdicts in grouped.items():
            cells = []
            for name in names:
                v = verdicts.get(name)
                if v is None:
                    cells.append("")
                elif v.got is None:
                    cells.append(v.word)
                else:
                    cells.append("%s %s" % (_digits3(v.got), v.word))
            to = next(iter(verdicts.values())).compared_to
            rows.append(["%s: %s" % (titles[wanted.place], wanted.text), to,
                         "%s %g" % (wanted.relation, wanted.limit), *cells])
        return _table(("", "divided by", "wanted", *names), rows)

    def _ahead(self):
        """Each line of the first tunnel beside the best of all peers."""
        mine = next((c for c in self.contenders if c.ours), None)
        peers = [c for c in self.contenders
                 if not c.ours and c.name != "raw"]
        if mine is None or not peers:
            return ""
        rows = []
        for place in self.places:
            for line in lines.LINES:
                value = self.results.median(place.name, mine.name, line.key)
                best = self.results.best(place.name, peers, line.key)
                if value is None or best is None or line.unit == "yes":
                    continue
                ahead = (value > best[1] if line.more_is_better
                         else value < best[1])
                rows.append(["%s: %s" % (place.title, line.title),
                             quantity(value, line.unit),
                             "%s, %s" % (quantity(best[1], line.unit),
                                         best[0]),
                             "%.2f×" % (value / best[1]) if best[1] else "–",
                             "ahead" if ahead else "behind"])
        return _table(("", mine.title, "best peer", "ratio", ""), rows)

    # -- the rest --

    def _troubles(self):
        rows = []
        for place, contender, measure, why in self.results.troubles():
            what = measure or "**missing**"
            rows.append("* %s, %s: %s: %s" % (
                place, contender, what, why.splitlines()[0]))
        return "\n".join(rows) + "\n" if rows else ""

    def _environment(self):
        e = self.results.environment
        rows = ["* command: `%s`, %s" % (e["command"], e["date"]),
                "* %s, %s, %d processors" % (e["kernel"], e["machine"],
                                             e["cpus"]),
                "* congestion control: %s" % e["congestion"]]
        rows += ["* %s: %s" % item for item in e["versions"].items()]
        rows += ["* %s: %s %s" % fact for fact in self.results.facts()]
        sysctls = next(iter(self.results.places.values()))["sysctls"]
        rows += ["* %s = %s" % item for item in sysctls.items()]
        others = [t.other_cpu for t in self.results.turns
                  if t.other_cpu is not None]
        if others:
            rows.append("* other work on this machine: %.0f %% of its "
                        "processors' time, at most %.0f %% in one turn" % (
                            100 * sum(others) / len(others),
                            100 * max(others)))
        rows += ["* link, %s: %s" % item for item in self._lateness()]
        return "\n".join(rows) + "\n"

    def _lateness(self):
        """Of all turns of a place, by the link's own account."""
        for p in self.places:
            said = [d for t in self.results.turns
                    if t.place == p.name and t.link
                    for d in t.link.values() if isinstance(d, dict)]
            if said:
                yield p.title, (
                    "99 %% of the packets left at most %d µs late in the "
                    "median turn, %d µs in the worst" % (
                        statistics.median(d["late_p99_us"] for d in said),
                        max(d["late_p99_us"] for d in said)))


def _digits3(value):
    return "%.3f" % value if abs(value) < 10 else _digits(value)


def markdown(results, contenders, places, verdicts):
    return Report(results, contenders, places, verdicts).text()


def write_json(path, results, verdicts):
    path.write_text(json.dumps({
        "environment": results.environment,
        "places": results.places,
        "turns": [vars(t) for t in results.turns],
        "verdicts": [{
            "place": v.wanted.place, "what": v.wanted.text,
            "contender": v.contender, "divided_by": v.compared_to,
            "wanted": "%s %g" % (v.wanted.relation, v.wanted.limit),
            "got": v.got, "verdict": v.word} for v in verdicts],
    }, indent=1) + "\n")
