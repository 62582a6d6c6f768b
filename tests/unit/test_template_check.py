"""The templates of a SOP's documents are read before a run needs them, an office's own ones too."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from runner import cli, errors
from runner.sop import parse_sop
from runner.template_check import problems, require_good
from runner.workspace import Workspace

ROOT = Path(__file__).parents[2]
SOP = ROOT / "sops" / "contoh-uji-pulih-cadangan.yml"
OWN = "berita-acara-uji-pulih.html.j2"


@pytest.fixture(name="tree")
def _tree(tmp_path: Path) -> Path:
    """Return a tree with the templates of the repository, and all that its SOPs name."""
    shutil.copytree(ROOT / "report_templates", tmp_path / "report_templates")
    for folder in ("playbooks", "sops", "tests"):
        (tmp_path / folder).symlink_to(ROOT / folder)
    return tmp_path


def told(tree: Path) -> list[str]:
    found = problems(Workspace(tree), parse_sop(SOP.read_text(encoding="utf-8"), SOP.name))
    return [line.removeprefix(f"{tree}/report_templates/") for line in found]


def add(tree: Path, text: str, name: str = OWN) -> int:
    """Put a line at the end of a block of a template and return its number."""
    path = tree / "report_templates" / name
    before, _, after = path.read_text(encoding="utf-8").rpartition("{% end")
    path.write_text(f"{before}{text}\n{{% end{after}", encoding="utf-8")
    return before.count("\n") + 1


@pytest.mark.parametrize("file", sorted((ROOT / "sops").glob("*.yml")), ids=lambda path: path.stem)
def test_nothing_is_said_of_the_templates_of_the_repository(file: Path) -> None:
    assert problems(Workspace(ROOT), parse_sop(file.read_text(encoding="utf-8"), file.name)) == []


@pytest.mark.parametrize(
    ("mistake", "message"),
    [
        ("{{ view.run }", "unexpected '}'"),
        ("{% endfor %}", "Encountered unknown tag 'endfor'."),
        ("{{ view.run | tebal }}", "No filter named 'tebal'."),
        ("{{ view.hots }}", "'view' has no 'hots'; did you mean 'hosts'?"),
        ("{{ m.time_tabel() }}", "'m' has no 'time_tabel'; did you mean 'time_table'?"),
        ("{{ veiw.run }}", "there is no 'veiw' here; did you mean 'view'?"),
        ('{% include "kop.html.j2" %}', "there is no template 'kop.html.j2'"),
    ],
)
def test_a_mistake_is_told_at_its_line(tree: Path, mistake: str, message: str) -> None:
    line = add(tree, mistake)

    found = told(tree)

    assert len(found) == 1
    assert found[0].startswith(f"{OWN}:{line}: {message}")


def test_a_mistake_in_what_templates_rest_on_is_told_once(tree: Path) -> None:
    line = add(tree, "{{ view.run }", "_macros.html.j2")

    assert told(tree) == [f"_macros.html.j2:{line}: unexpected '}}'"]


def test_names_that_a_template_gives_itself_are_known(tree: Path) -> None:
    add(tree, "{% set a = 1 %}{% for b in view.hosts %}{{ a }}{{ b.host }}{{ loop.index }}{% endfor %}")

    assert told(tree) == []


def test_the_template_of_the_end_report_is_read_too(tree: Path) -> None:
    line = add(tree, "{{ view.hots }}", "laporan-penghentian.html.j2")

    assert [found.split(": ")[0] for found in told(tree)] == [f"laporan-penghentian.html.j2:{line}"]


def test_a_run_is_not_started_with_what_is_wrong(tree: Path) -> None:
    line = add(tree, "{{ view.hots }}")

    with pytest.raises(errors.InputError, match=rf"{OWN}:{line}: 'view' has no 'hots'"):
        require_good(Workspace(tree), parse_sop(SOP.read_text(encoding="utf-8"), SOP.name))


def test_sop_check_names_the_template(
    tree: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    line = add(tree, "{{ view.hots }}")
    monkeypatch.setenv("RAWAT_ROOT", str(tree))
    monkeypatch.setattr("sys.argv", ["rawat", "sop", "check", str(SOP)])

    with pytest.raises(SystemExit) as ended:
        cli.main()

    said = capsys.readouterr()
    assert ended.value.code == errors.EXIT_INPUT
    assert f"error: {tree}/report_templates/{OWN}:{line}: 'view' has no 'hots'" in said.err
    assert "good" not in said.out
