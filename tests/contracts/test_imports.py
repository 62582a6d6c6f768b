"""The way through: which part of the program may know which other, read from the imports themselves."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
RUNNER = ROOT / "runner"
MODULES = {
    ".".join(path.relative_to(RUNNER).with_suffix("").parts): ast.parse(path.read_text(encoding="utf-8"))
    for path in sorted(RUNNER.rglob("*.py"))
    if path.name != "__init__.py"
}

# Which part of the way each module is. A new module needs a place here, and with it its rules.
PARTS = {
    # cli / console: parse, build the parts, show
    "front": {
        "__main__",
        "cli",
        "cli_calendar",
        "cli_forms",
        "cli_officials",
        "cli_records",
        "cli_signatures",
        "cli_sop",
        "cli_archive",
        "cli_retention",
        "sealing",
        "assembly",
        "console",
        "screens",
        "stops",
        "status",
    }
    | {"times", "prompt", "rows", "questions", "form_prompt", "consent", "typed", "office", "sop_questions"}
    | {"signature_prompt"},
    "engine": {"engine", "start", "authority", "decisions", "freeing", "notes", "roster_change", "filling"}
    | {"reminders", "document_signing"},
    # pure rules: no disk, clock, network or process
    "rules": {
        "sop",
        "sop_check",
        "sop_draft",
        "notices",
        "schedule",
        "source",
        "state",
        "next_move",
        "moves",
        "waves",
        "owed",
        "windows",
        "gates",
        "timing",
        "plan",
        "replay",
        "errors",
    }
    | {"canonical", "display", "events", "bag", "findings", "host_facts", "view", "annex", "wording"}
    | {"expiry", "drift", "addresses", "statements", "conffiles", "reasons", "breaks", "endpoints", "rosters"}
    | {"forms", "filled", "models", "cures", "office_settings", "trends"}
    | {"description", "checkpoint", "archive_settings"}
    | {"kinds", "checks", "sentences", "judges.base", "judges.computer"}
    | {"procedure", "letters", "flow", "routes"}
    | {"service_sentences", "judges.website", "judges.database"}
    | {"retention", "srikandi", "export_items", "pdf_signatures"}
    | {"repairs", "repair_sentences", "language"}
    | {"judges.network_device", "judges.routerboard", "judges.printer", "judges.internet_link"},
    "executors": {"executors.base", "executors.playbook", "executors.verification", "executors.junit"}
    | {"executors.processes", "executors.warden", "executors.ansible_process", "executors.reattach"}
    | {"executors.suite_limits", "executors.suite_sessions", "executors.suite_on_host", "mail"}
    | {"signers.base", "signers.pkcs12", "signers.bsre"}
    | {"executors.connections", "executors.connection_keeper"},
    # what reads and writes the run folder
    "record": {"journal", "evidence", "record", "files", "workspace", "officials", "signing", "clock"}
    | {
        "inventory",
        "own_machine",
        "pictures",
        "earlier_runs",
        "run_numbers",
        "earlier_checks",
        "earlier_reports",
        "tree",
        "holder",
        "holds",
    }
    | {"ansible_settings", "scans", "archive_key", "pades"},
    # what only reads the run folder
    "readers": {
        "report",
        "template_check",
        "sop_document",
        "run_view",
        "data_tables",
        "pdf",
        "pdf_worker",
        "archive",
        "verify",
        "outside",
        "run_check",
        "register",
        "bag_check",
        "checkpoints",
        "catalogue",
        "dispositions",
        "export",
        "minutes",
        "translations",
        "reading_copy",
        "stamps",
    },
    "ansible": {
        "callback_plugins.rawat_channel",
        "connection_plugins.ssh",
        "judges.action",
        "channel",
        "batch",
    },
}
MAY_IMPORT = {
    "front": {"front", "engine", "rules", "executors", "record", "readers"},
    "engine": {"engine", "rules", "executors", "record"},
    "rules": {"rules"},
    "executors": {"rules", "executors", "record"},
    "record": {"rules", "record"},
    "readers": {"rules", "record", "readers"},
    "ansible": {"rules", "ansible"},
}
# Values that cross a border: they hold data and do nothing.
VALUES = {
    "journal": {"Event"},
    "clock": {"Instant", "format_utc", "parse_utc"},
    "officials": {"Deputy", "Holder", "Official", "Roster", "Validity"},
    "executors.base": {"ActionRequest", "Failure", "HostResult", "HostStatus", "ProgressEvent"},
}
IMPURE_MODULES = {
    "asyncio", "fcntl", "http", "io", "multiprocessing", "os", "pathlib", "random", "secrets", "shutil",
    "signal", "socket", "ssl", "subprocess", "sys", "tempfile", "threading", "time", "urllib", "uuid",
}  # fmt: skip
IMPURE_CALLS = {
    "open", "print", "input", "datetime.now", "datetime.today", "datetime.utcnow", "date.today", "read_text",
    "read_bytes", "write_text", "write_bytes", "unlink", "mkdir", "iterdir", "glob",
}  # fmt: skip
TREE = {"sops", "playbooks", "roles", "inventory", "report_templates", "runs", "archive", "plans", "evidence",
        "decisions", "documents", "journal.jsonl", "sop.yml"}  # fmt: skip


def part_of(module: str) -> str:
    found = [part for part, modules in PARTS.items() if module in modules]
    assert len(found) == 1, f"say in PARTS which part of the way through {module!r} is"
    return found[0]


def imports(module: str) -> Iterator[tuple[str, str]]:
    """Yield (module, name) of what a module imports from the program itself."""
    for node in ast.walk(MODULES[module]):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "runner":
            source = node.module.removeprefix("runner").removeprefix(".")
            for alias in node.names:
                whole = f"{source}.{alias.name}".lstrip(".")
                yield (whole, "") if whole in MODULES else (source, alias.name)
        elif isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.split(".")[0] == "runner":
                    yield alias.name.removeprefix("runner").removeprefix("."), ""


def foreign(module: str) -> set[str]:
    """Return the top packages that a module imports from elsewhere."""
    found = set()
    for node in ast.walk(MODULES[module]):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.split(".")[0])
    return found - {"runner"}


def calls(module: str) -> set[str]:
    """Return what a module calls, as ``name``, as the last name of ``a.b.name``, and as ``b.name``."""
    found = set()
    for node in ast.walk(MODULES[module]):
        match node:
            case ast.Call(func=ast.Name(name)):
                found.add(name)
            case ast.Call(func=ast.Attribute(ast.Name(owner), name)):
                found |= {name, f"{owner}.{name}"}
            case ast.Call(func=ast.Attribute(_, name)):
                found.add(name)
    return found


def joined_names(module: str) -> set[str]:
    """Return the words that a module joins to a path: ``x / "word"``."""
    found = set()
    for node in ast.walk(MODULES[module]):
        match node:
            case ast.BinOp(_, ast.Div(), ast.Constant(str(word))):
                found.add(word)
    return found


def test_every_module_named_here_exists() -> None:
    assert set().union(*PARTS.values()) == set(MODULES)


@pytest.mark.parametrize("module", MODULES)
def test_imports_go_one_way(module: str) -> None:
    allowed = MAY_IMPORT[part_of(module)]
    wrong = [
        f"{module} imports {source}.{name}".rstrip(".")
        for source, name in imports(module)
        if source and part_of(source) not in allowed and name not in VALUES.get(source, set())
    ]
    assert wrong == []


@pytest.mark.parametrize("module", sorted(PARTS["rules"]))
def test_rules_import_nothing_that_acts(module: str) -> None:
    assert foreign(module) & IMPURE_MODULES == set()


@pytest.mark.parametrize("module", sorted(PARTS["rules"]))
def test_rules_call_nothing_that_acts(module: str) -> None:
    assert calls(module) & IMPURE_CALLS == set()


@pytest.mark.parametrize("module", MODULES)
def test_only_one_module_imports_ansible_runner(module: str) -> None:
    assert ("ansible_runner" in foreign(module)) == (module == "executors.ansible_process")


@pytest.mark.parametrize("module", MODULES)
def test_only_the_workspace_knows_the_names_of_the_tree(module: str) -> None:
    if module == "workspace":
        assert joined_names(module) >= {"playbooks", "runs", "evidence", "decisions"}
    else:
        assert joined_names(module) & TREE == set()


@pytest.mark.parametrize("module", MODULES)
def test_nothing_imports_the_command_line(module: str) -> None:
    sources = {source for source, _ in imports(module)}
    assert ("cli" in sources) == (module == "__main__")


@pytest.mark.parametrize("module", MODULES)
def test_only_the_command_line_knows_the_lab(module: str) -> None:
    assert ("lab" in foreign(module)) == (module == "cli")


@pytest.mark.parametrize("module", MODULES)
def test_no_two_modules_import_each_other(module: str) -> None:
    around = [source for source, _ in imports(module) if source and module in {s for s, _ in imports(source)}]
    assert around == []
