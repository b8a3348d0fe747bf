"""Alertmanager of Debian: alerts that fire and silences that operators made, before and after the end of the process.

It counts on Prometheus to send alerts again and keeps none by design; silences it writes down every 15 minutes and at an orderly stop.
"""

import datetime
import pathlib
import signal
import tempfile

from common import Program, Receiver, ask, free_port, ready

PROGRAM = "/usr/bin/prometheus-alertmanager"
SILENCES = 20


def run(alerts, how):
    folder, port, receiver = tempfile.mkdtemp(prefix="peers-alertmanager-"), free_port(), Receiver(0)
    file = pathlib.Path(folder) / "alertmanager.yml"
    file.write_text(
        "route: {receiver: duty, group_by: [device], group_wait: 0s}\n"
        f"receivers: [{{name: duty, webhook_configs: [{{url: '{receiver.url()}'}}]}}]\n"
    )
    address = f"127.0.0.1:{port}"
    arguments = [f"--config.file={file}", f"--storage.path={folder}/data", f"--web.listen-address={address}", "--cluster.listen-address="]
    program = Program([PROGRAM, *arguments], port, folder)
    api = f"http://{address}/api/v2"
    ready(f"http://{address}/-/ready")
    for first in range(0, alerts, 100):
        ask(f"{api}/alerts", [{"labels": {"alertname": "smoke", "device": f"SD-{n}"}} for n in range(first, first + 100)])
    now = datetime.datetime.now(datetime.timezone.utc)
    for n in range(SILENCES):
        matcher = {"name": "device", "value": f"XX-{n}", "isRegex": False, "isEqual": True}
        times = {"startsAt": now.isoformat(), "endsAt": (now + datetime.timedelta(hours=4)).isoformat()}
        ask(f"{api}/silences", {"matchers": [matcher], "createdBy": "wang-li", "comment": "repair", **times})
    def count():
        return len(ask(f"{api}/alerts")), len(ask(f"{api}/silences"))
    before = count()
    program.again(how)
    ready(f"http://{address}/-/ready")
    after = count()
    program.end(signal.SIGTERM)
    return before, after
