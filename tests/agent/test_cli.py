from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from ironroot.agent.cli import main
from tests.agent.est_server import EstServer
from tests.agent.pki import Pki, now


def enrol(est: EstServer, state: Path, *more: str) -> list[str]:
    return ["enrol", "--server", est.url, "--device", "meter-1", "--state", str(state), *more]


def test_enrol_and_status(est: EstServer, pki: Pki, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ca = str(pki.roots_path)
    assert main([*enrol(est, tmp_path / "s", "--ca", ca, "--json"), "--claim", "claim-of-meter-1"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["device"] == "meter-1"
    assert main(["status", "--state", str(tmp_path / "s"), "--json"]) == 0
    status = json.loads(capsys.readouterr().out)
    assert status["certificate"]["serial"] == answer["certificate"]["serial"]
    assert status["running"] is False
    assert main(["status", "--state", str(tmp_path / "s")]) == 0
    assert "not running" in capsys.readouterr().out


def test_the_claim_need_not_be_in_the_process_list(
    est: EstServer, pki: Pki, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IRONROOT_CLAIM", "claim-of-meter-1")
    assert main(enrol(est, tmp_path / "s", "--fingerprint", pki.fingerprint)) == 0
    est.claims["meter-1"] = "second"
    monkeypatch.setattr("sys.stdin", io.StringIO("second\n"))
    assert main(enrol(est, tmp_path / "s", "--fingerprint", pki.fingerprint, "--claim", "-")) == 0


def test_a_refusal_is_a_problem_document_and_status_one(
    est: EstServer, pki: Pki, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ca = str(pki.roots_path)
    assert main([*enrol(est, tmp_path / "s", "--ca", ca, "--json"), "--claim", "wrong"]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert json.loads(err) == {
        "type": "urn:ironroot:problem:unauthenticated",
        "title": "Unauthenticated",
        "detail": "the claim is not valid",
        "remedy": "make a new one",
    }
    assert main(["status", "--state", str(tmp_path / "s")]) == 1
    assert main(["run", "--state", str(tmp_path / "none")]) == 1
    assert "no device is enrolled" in capsys.readouterr().err


@pytest.mark.parametrize(
    "argv",
    [
        [],
        ["fly"],
        ["enrol"],
        ["enrol", "--server", "https://x", "--claim", "c"],
        ["enrol", "--server", "https://x", "--device", "a", "--ca", "f", "--fingerprint", "0"],
    ],
)
def test_wrong_usage_is_status_two(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as leaving:
        main(argv)
    assert leaving.value.code == 2


def test_a_device_id_that_would_be_another_topic_is_refused(
    est: EstServer, pki: Pki, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    argv = enrol(est, tmp_path / "s", "--ca", str(pki.roots_path), "--claim", "c")
    argv[argv.index("meter-1")] = "a/../b"
    assert main(argv) == 1
    assert "not a device id" in capsys.readouterr().err
    assert est.requests == []


def test_an_expired_certificate_is_status_one(pki: Pki, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from datetime import timedelta

    pki.enrolled(tmp_path, "meter-1", 1, not_before=now() - timedelta(days=9))
    assert main(["status", "--state", str(tmp_path)]) == 1
    assert "new claim" in capsys.readouterr().out


def test_a_second_agent_on_the_same_state_is_refused(
    pki: Pki, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    state = pki.enrolled(tmp_path, "meter-1", 1)
    with state.lock():
        assert main(["run", "--state", str(tmp_path)]) == 1
    assert "another agent" in capsys.readouterr().err
