# SPDX-License-Identifier: Apache-2.0
"""Results: one JSON object per measurement, a table for people, a plot."""
import json
import os
import platform
import statistics
import subprocess

ROW = "| {:<58} | {:>10} | {:<10} | {:>10} | {:>7} | {:>9} | {:<12} |\n"


def machine():
    model = "unknown CPU"
    with open("/proc/cpuinfo", encoding="ascii", errors="replace") as file:
        for line in file:
            if line.startswith("model name"):
                model = line.split(":", 1)[1].strip()
                break
    with open("/proc/meminfo", encoding="ascii") as file:
        gigabytes = int(file.readline().split()[1]) / 1e6
    return f"{os.cpu_count()} cores of {model}, {gigabytes:.0f} GB"


def commit():
    def git(*args):
        return subprocess.run(["git", *args], capture_output=True, text=True,
                              check=False).stdout.strip()
    changed = git("status", "--porcelain", "--untracked-files=no", "user", "kernel", "bench")
    return (git("rev-parse", "--short", "HEAD") or "unknown") + ("+changes" if changed else "")


def median_spread(samples):
    """The median, and the whole range relative to it."""
    middle = statistics.median(samples)
    return middle, (max(samples) - min(samples)) / middle if middle else 0.0


class Results:
    def __init__(self, path):
        self.common = {"machine": machine(), "kernel": platform.release(), "commit": commit()}
        self.file = open(path, "w", encoding="utf-8")
        self.rows = []

    def add(self, name, unit, samples, reference=None, reference_samples=None, budget=None,
            budget_text="", above=False, of_ratio=False):
        """@budget limits the value, or with @of_ratio the ratio; @above: more is better."""
        value, spread = median_spread(samples)
        row = {"name": name, "value": round(value, 4), "unit": unit, "runs": len(samples),
               "median": round(value, 4), "spread": round(spread, 3),
               "samples": [round(one, 4) for one in samples], "budget": budget_text}
        ratio = None
        if reference_samples:
            other, other_spread = median_spread(reference_samples)
            # Neighbours in time saw the same machine.
            pairs = [a / b for a, b in zip(samples, reference_samples) if b]
            ratio = statistics.median(pairs) if pairs else None
            row.update(reference=reference, reference_value=round(other, 4),
                       reference_spread=round(other_spread, 3),
                       reference_samples=[round(one, 4) for one in reference_samples])
        row["ratio"] = round(ratio, 4) if ratio is not None else None
        judged = ratio if of_ratio else value
        if budget is not None and judged is not None:
            row["met"] = judged >= budget if above else judged <= budget
        row.update(self.common)
        self.rows.append(row)
        line = json.dumps(row)
        print(line, flush=True)
        self.file.write(line + "\n")
        self.file.flush()

    def close(self):
        self.file.close()


def short(value):
    if value is None:
        return ""
    return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def table(rows):
    """As Markdown, which people read too."""
    text = ROW.format("measurement", "median", "unit", "reference", "ratio", "spread", "budget")
    text += ROW.format(*["---"] * 7)
    for row in rows:
        verdict = {True: "", False: " MISSED", None: ""}[row.get("met")]
        text += ROW.format(row["name"], short(row["value"]), row["unit"],
                           short(row.get("reference_value")), short(row["ratio"]),
                           f"{row['spread'] * 100:.0f} %", row["budget"] + verdict)
    return text


PLOT = r"""set terminal svg size 900,340 font 'sans,11' background '#ffffff'
set output '{out}'
set style data histograms
set style histogram clustered gap 1
set style fill solid 0.9 noborder
set boxwidth 0.85
set yrange [0:*]
set grid ytics lc '#dddddd'
set border 3
set xtics nomirror font ',9'
set ytics nomirror
unset key
set bmargin 3.5
set xrange [-0.6:{last}]
set multiplot layout 1,2
set title 'CPU per session, accept to reply, microseconds'
plot '{data}' index 0 using 2:xtic(1) lc '#2b6cb0', \
     '' index 0 using 0:2:(sprintf('%.0f',$2)) with labels offset 0,0.6
set title 'process memory per idle session, kB'
plot '{data}' index 1 using 2:xtic(1) lc '#2f855a', \
     '' index 1 using 0:2:(sprintf('%.1f',$2)) with labels offset 0,0.6
unset multiplot
"""


def plot(rows, out):
    """CPU and memory per session, ours and theirs. @return False without gnuplot."""
    by_name = {row["name"]: row for row in rows}
    cpu = by_name["CPU per session, accept to get-config reply"]
    memory = by_name["process memory per idle session"]
    bars = [[("callhomed", cpu["value"]), ("bare\\nOpenSSL", cpu["reference_value"])],
            [("callhomed", memory["value"]), ("bare\\nOpenSSL", memory["reference_value"])]]
    for name, label in (("libnetconf2, 8 threads, own accept", "libnetconf2\\n8 threads"),
                        ("libnetconf2, nc_accept_callhome", "libnetconf2\\nstock")):
        if "CPU per session, " + name in by_name:
            bars[0].append((label, by_name["CPU per session, " + name]["value"]))
            bars[1].append((label, by_name["process memory per session, " + name]["value"]))
    # gnuplot writes the names of its files into the picture: they are relative to its folder.
    folder, picture = os.path.split(os.path.abspath(out))
    data = picture + ".dat"
    with open(os.path.join(folder, data), "w", encoding="utf-8") as file:
        for block in bars:
            file.writelines(f'"{label}" {value}\n' for label, value in block)
            file.write("\n\n")
    try:
        script = PLOT.format(out=picture, data=data, last=len(bars[0]) - 0.4)
        subprocess.run(["gnuplot"], input=script, text=True, check=True, cwd=folder)
    except FileNotFoundError:
        return False
    return True
