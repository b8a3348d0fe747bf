"""kill -9 beside us: what Debian's and npm's programs lose, and what Gridwarden loses under the same fault.

`make peers` sets everything up and runs this; the table goes to .run/peers/peers.md. Argument: the gateway's program.
"""

import pathlib
import re
import signal
import subprocess
import sys

import alertmanager
import gridwarden
import mosquitto_queue
import node_red
from common import ROOT

ALERTS = 5_000
QUEUED = 1_000
FLOWING = 2_000
RUNS = 5


def version(*command):
    said = subprocess.run(command, capture_output=True, text=True, check=False)
    return re.search(r"\d+\.\d+\.\d+", said.stdout + said.stderr).group()


def flowing(run):
    """Several runs together: acknowledged, lost."""
    return tuple(sum(part) for part in zip(*(run() for _ in range(RUNS))))


def main():
    program = pathlib.Path(sys.argv[1] if 1 < len(sys.argv) else ROOT / "target/release/gridwarden").resolve()
    names = {
        "am": f"Alertmanager {version(alertmanager.PROGRAM, '--version')}",
        "mq": f"Mosquitto {version('/usr/sbin/mosquitto', '-h')}",
        "nr": f"Node-RED {version('node', str(node_red.PROGRAM), '--version')}",
    }
    rows = ["| program | what it had acknowledged | fault | lost |", "|---|---|---|---|"]

    def row(name, had, fault, lost):
        rows.append(f"| {name} | {had} | {fault} | {lost} |")
        print(rows[-1], flush=True)

    print("\n".join(rows))
    for fault, how in [("kill -9", signal.SIGKILL), ("SIGTERM", signal.SIGTERM)]:
        (alerts, silences), (alerts_after, silences_after) = alertmanager.run(ALERTS, how)
        lost = f"{alerts - alerts_after} alerts, {silences - silences_after} silences"
        row(names["am"], f"{alerts} firing alerts, {silences} silences", fault, lost)
    (alarms, deeds), (alarms_after, deeds_after) = gridwarden.alarms(program, ALERTS, alertmanager.SILENCES)
    lost = f"{alarms - alarms_after} alarms, {deeds - deeds_after} acknowledgements"
    row("Gridwarden", f"{alarms} open alarms, {deeds} acknowledgements of an operator", "kill -9", lost)

    autosave = "autosave_on_changes true\nautosave_interval 1"
    for remark, settings, fault, how in [
        ("`persistence true`", "", "none", None),
        ("`persistence true`", "", "kill -9", signal.SIGKILL),
        ("and `autosave_interval 1`, on changes", autosave, "kill -9", signal.SIGKILL),
    ]:
        acknowledged, kept = mosquitto_queue.run(QUEUED, settings, how)
        row(f"{names['mq']}, {remark}", f"{acknowledged} QoS 1 messages for a reader that is away", fault, acknowledged - kept)
    acknowledged, kept = gridwarden.queue(program, QUEUED)
    row("Gridwarden", f"{acknowledged} QoS 1 readings for an InfluxDB that is away", "kill -9", acknowledged - kept)

    for name, run in [
        (f"{names['nr']}, MQTT → function → HTTP", lambda kill: node_red.run(FLOWING, kill)),
        ("Gridwarden, MQTT → fire alarm → webhook", lambda kill: gridwarden.flow(program, FLOWING, kill)),
    ]:
        acknowledged, lost = run(False)
        row(name, f"{acknowledged} QoS 1 messages flowing", "none", lost)
        acknowledged, lost = flowing(lambda: run(True))
        row(name, f"{acknowledged} QoS 1 messages flowing", f"{RUNS} × kill -9", lost)

    folder = ROOT / ".run/peers"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "peers.md").write_text("\n".join(rows) + "\n")


main()
