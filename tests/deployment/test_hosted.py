"""What a job may not do where the platform owns the session and judges the exit."""

from typing import Any

import pytest

from headroom import cli, session


class Session:
    stopped = False

    def stop(self) -> None:
        self.stopped = True


@pytest.mark.parametrize(("hosted", "stopped"), [(False, True), (True, False)])
def test_a_session_that_the_platform_shares_is_not_stopped(
    monkeypatch: pytest.MonkeyPatch, hosted: bool, stopped: bool
) -> None:
    monkeypatch.delenv("DATABRICKS_RUNTIME_VERSION", raising=False)
    if hosted:
        monkeypatch.setenv("DATABRICKS_RUNTIME_VERSION", "15.4")
    stub: Any = Session()
    session.end_session(stub)
    assert stub.stopped is stopped


def run(code: int) -> None:
    cli.run_command("train", "doc", lambda *_: code, ["--set", "seed=1"])


def test_a_job_that_is_done_returns_instead_of_exiting() -> None:
    run(cli.DONE)


def test_any_other_end_is_the_exit_code() -> None:
    with pytest.raises(SystemExit) as exit_:
        run(cli.PARTIAL)
    assert exit_.value.code == 3
