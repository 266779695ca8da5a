from __future__ import annotations

import json
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from ironroot.agent.clock import SystemClock
from ironroot.agent.metrics import (
    Host,
    Socket,
    Traffic,
    defender_report,
    parse_cpu,
    parse_memory,
    parse_sockets,
    parse_traffic,
)
from tests.support.clock import ManualClock

TCP = """  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 00000000:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1
   1: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 2
   2: 0A01A8C0:D431 22D8B85D:01BB 01 00000000:00000000 00:00000000 00000000     0        0 3
   3: garbage
"""
TCP6 = """  sl  local_address                         remote_address                        st
   0: 00000000000000000000000000000000:0016 00000000000000000000000000000000:0000 0A 0 0 0
   1: 0000000000000000FFFF00000100007F:8AE0 0000000000000000FFFF00000100007F:1F90 01 0 0 0
   2: B80D01200000000000000000010000000:0001 0:0 01
"""
UDP = """  sl  local_address rem_address   st
   0: 00000000:0044 00000000:0000 07 0
   1: 0100007F:0035 0100007F:9999 01 0
"""
DEV = """Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
    lo:  999       99    0    0    0     0          0         0   999       99    0    0    0     0       0          0
  eth0: 1000       10    0    0    0     0          0         0   500        5    0    0    0     0       0          0
 wlan0:    7        1    0    0    0     0          0         0     3        1    0    0    0     0       0          0
"""


def test_socket_tables_are_read() -> None:
    assert parse_sockets(TCP)[1] == Socket("127.0.0.1", 8080, "0.0.0.0", 0, "0A")
    assert parse_sockets(TCP)[2] == Socket("192.168.1.10", 54321, "93.184.216.34", 443, "01")
    assert parse_sockets(TCP6)[1].remote == "127.0.0.1"
    assert len(parse_sockets(TCP6)) == 2


def test_the_report_has_the_documents_shape() -> None:
    report = defender_report(7, parse_sockets(TCP) + parse_sockets(TCP6), parse_sockets(UDP), Traffic(1, 2, 3, 4))
    assert report == {
        "header": {"report_id": 7, "version": "1.0"},
        "metrics": {
            "listening_tcp_ports": {"ports": [{"port": 22}, {"interface": "lo", "port": 8080}], "total": 2},
            "listening_udp_ports": {"ports": [{"port": 68}], "total": 1},
            "network_stats": {"bytes_in": 1, "bytes_out": 3, "packets_in": 2, "packets_out": 4},
            "tcp_connections": {
                "established_connections": {
                    "connections": [
                        {"local_port": 54321, "remote_addr": "93.184.216.34:443"},
                        {"local_port": 35552, "remote_addr": "127.0.0.1:8080"},
                    ],
                    "total": 2,
                }
            },
        },
    }


def test_a_host_with_ten_thousand_connections_still_fits_a_message() -> None:
    many = [Socket("127.0.0.1", n % 65536, "2001:db8::1", 1, "01") for n in range(10_000)]
    report = defender_report(1, many, [], Traffic())
    assert report["metrics"]["tcp_connections"]["established_connections"]["total"] == 10_000
    assert len(json.dumps(report)) < 16_000


def test_traffic_leaves_loopback_out_and_counts_since_the_report_before() -> None:
    total = parse_traffic(DEV)
    assert total == Traffic(1007, 11, 503, 6)
    assert Traffic(10, 1, 5, 6).since(total) == Traffic(10, 1, 5, 0)
    assert total.since(Traffic(1000, 10, 500, 5)) == Traffic(7, 1, 3, 1)


def test_cpu_and_memory() -> None:
    assert parse_cpu("cpu  10 0 10 70 10 0 0 0 0 0\ncpu0 ...") == (20, 100)
    assert parse_memory("MemTotal: 1000 kB\nMemFree: 1 kB\nMemAvailable: 250 kB\n") == 75.0


def test_a_host_of_files(tmp_path: Path) -> None:
    for name, text in {
        "proc/stat": "cpu  10 0 10 70 10 0 0 0\n",
        "proc/meminfo": "MemTotal: 1000 kB\nMemAvailable: 250 kB\n",
        "proc/uptime": "12345.67 1\n",
        "proc/loadavg": "0.42 0 0 1/1 1\n",
        "proc/net/dev": DEV,
        "proc/net/tcp": TCP,
        "sys/class/thermal/thermal_zone0/temp": "41500\n",
        "sys/class/thermal/thermal_zone1/temp": "bad\n",
    }.items():
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    host = Host(ManualClock(), tmp_path)
    first = host.telemetry()
    assert first["uptime_s"] == 12345
    assert first["temperature_c"] == 41.5
    assert first["cpu_percent"] == 20.0
    assert "cpu_percent" not in host.telemetry()  # no tick passed: nothing to say
    one, two = host.report(), host.report()
    assert two["header"]["report_id"] > one["header"]["report_id"]
    assert two["metrics"]["network_stats"]["bytes_in"] == 0


def test_a_host_that_shows_nothing(tmp_path: Path) -> None:
    host = Host(ManualClock(), tmp_path)
    assert set(host.telemetry()) <= {"disk_percent"}
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/meminfo").write_text("MemTotal: 0 kB\nMemAvailable: x\n")
    assert set(host.telemetry()) <= {"disk_percent"}
    assert host.report()["metrics"]["listening_tcp_ports"] == {"ports": [], "total": 0}


def test_this_host() -> None:
    values = Host(SystemClock()).telemetry()
    assert 0 <= float(values["memory_percent"]) <= 100
    assert 0 <= float(values["disk_percent"]) <= 100


@given(st.text())
def test_tables_of_nonsense_are_nothing_to_fall_over(text: str) -> None:
    parse_sockets("\n" + text)
    parse_traffic(text)
