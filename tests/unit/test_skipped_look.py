"""What is left out without having started anywhere: of that nothing is told of any host."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
from role_modules import loaded

PLUGIN = Path(__file__).parents[2] / "runner" / "callback_plugins" / "rawat_channel.py"


@pytest.mark.parametrize(
    ("action", "told"), [("check_host_probe", 0), ("ansible.builtin.meta", 0), ("ansible.builtin.assert", 1)]
)
def test_only_a_task_that_was_told_to_have_started_is_told_as_skipped(
    action: str, told: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An end without its start is refused, and its host is called unknown.

    So it was with the look before a wave, and with a rollback, which was then asked for again and again.
    """
    channel = tmp_path / "channel"
    monkeypatch.setenv("RAWAT_CHANNEL", str(channel))
    callback = loaded(PLUGIN).CallbackModule()
    task = SimpleNamespace(action=action, _uuid="1", get_name=lambda: "Look")
    host = SimpleNamespace(get_name=lambda: "web1")

    callback.v2_runner_on_skipped(SimpleNamespace(task=task, host=host, result={}))

    assert channel.read_text(encoding="utf-8").count('"skipped"') == told
